/** Writes timed text as SubRip (`srt`) or WebVTT (https://www.w3.org/TR/webvtt1/). */

export interface TimedText {
  readonly text: string;
  /** In seconds. */
  readonly start: number;
  readonly end: number | null;
}

export function formatSubtitles(format: 'srt' | 'vtt', texts: readonly TimedText[]): string {
  const separator = format === 'srt' ? ',' : '.';
  const cues = texts.map(({ text, start, end }, index) => {
    // Text without an end lasts until the next one begins.
    const until = end ?? texts[index + 1]?.start ?? start;
    const times = `${formatTime(start, separator)} --> ${formatTime(until, separator)}`;
    // A blank line would end the cue.
    const lines = text.trim().replace(/\n\s*\n/g, '\n');
    return format === 'srt' ? `${index + 1}\n${times}\n${lines}\n` : `${times}\n${lines}\n`;
  });
  return format === 'srt' ? cues.join('\n') : ['WEBVTT\n', ...cues].join('\n');
}

function formatTime(seconds: number, separator: string): string {
  const ms = Math.max(0, Math.round(seconds * 1_000));
  const pad = (value: number, digits = 2) => String(value).padStart(digits, '0');
  const [hours, minutes] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60];
  return `${pad(hours)}:${pad(minutes)}:${pad(Math.floor(ms / 1_000) % 60)}${separator}${pad(ms % 1_000, 3)}`;
}
