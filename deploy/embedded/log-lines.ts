/** What the terminal shows of each process's output: pino's JSON made readable, with the process's name before it. */
import type { Readable } from 'node:stream';

const levels: Record<string, { name: string; colour: number }> = {
  trace: { name: 'TRACE', colour: 90 },
  debug: { name: 'DEBUG', colour: 90 },
  info: { name: 'INFO ', colour: 32 },
  warn: { name: 'WARN ', colour: 33 },
  error: { name: 'ERROR', colour: 31 },
  fatal: { name: 'FATAL', colour: 31 },
};

const paint = (text: string, colour: number, on: boolean): string =>
  on ? `\x1b[${colour}m${text}\x1b[0m` : text;

/** Said already, or the same in every line of a process. */
const hiddenKeys = new Set(['level', 'time', 'msg', 'service', 'pid', 'hostname', 'err']);

function formatTime(time: unknown): string {
  const at = new Date(typeof time === 'number' || typeof time === 'string' ? time : Number.NaN);
  if (Number.isNaN(at.getTime())) return '';
  const two = (n: number): string => String(n).padStart(2, '0');
  const ms = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'undefined';
}

/** One line of pino's as `time LEVEL message key=value`, with an error's stack below; any other line as it is. */
export function formatLogLine(line: string, colour: boolean): string {
  if (!line.startsWith('{')) return line;
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const level = levels[String(entry['level'])];
  if (!level) return line;
  const pairs = Object.entries(entry)
    .filter(([key]) => !hiddenKeys.has(key))
    .map(([key, value]) => `${paint(`${key}=`, 90, colour)}${formatValue(value)}`);
  const err = entry['err'] as { message?: string; stack?: string } | undefined;
  const time = paint(formatTime(entry['time']), 90, colour);
  const message = typeof entry['msg'] === 'string' ? entry['msg'] : '';
  const head = [time, paint(level.name, level.colour, colour), message, ...pairs].filter(Boolean).join(' ');
  const trace = err?.stack ?? err?.message;
  return trace ? `${head}\n${trace.replace(/^/gm, '    ')}` : head;
}

const nameColours: Record<string, number> = { api: 36, worker: 35, migrate: 33, millrace: 34 };

/** `api │ …` before every line of `text`. */
export function prefixLines(name: string, text: string, colour: boolean): string {
  const prefix = paint(`${name.padEnd(8)} │`, nameColours[name.replace(/-\d+$/, '')] ?? 37, colour);
  return text.replace(/^/gm, `${prefix} `);
}

/** Longer ones are cut: a line without an end must not fill the memory. */
const longestLine = 1_000_000;

export function forEachLine(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
    if (rest.length > longestLine) {
      take(rest.slice(0, longestLine));
      rest = '';
    }
  });
  stream.on('end', () => {
    if (rest) take(rest);
  });
}
