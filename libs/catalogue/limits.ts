/** Limits that kinds of like cost share. A chunk is some seconds of work; where lines are dear it is few of them. */
import type { ChunkLimits } from '#domain';

interface Limits {
  readonly timeoutMs: number;
  readonly longestMs: number;
  readonly chunk: ChunkLimits;
  readonly answerBytes: number;
}

const kibibyte = 2 ** 10;
const mebibyte = 2 ** 20;
const minute = 60_000;

const chunk = (maxLines: number): ChunkLimits => ({
  seconds: 10,
  maxLines,
  unmeasuredMaxLines: Math.min(maxLines, 64),
  maxBytes: 32 * mebibyte,
  maxAnswerBytes: 64 * mebibyte,
});

/** A label, a sentence: a forward pass each. */
export const light: Limits = {
  timeoutMs: minute,
  longestMs: 10 * minute,
  chunk: chunk(2_000),
  answerBytes: kibibyte,
};

/** Text made token by token. */
export const generation: Limits = {
  timeoutMs: 5 * minute,
  longestMs: 60 * minute,
  chunk: chunk(256),
  answerBytes: 4 * kibibyte,
};

/** A picture, or some seconds of sound. */
export const picture: Limits = {
  timeoutMs: 5 * minute,
  longestMs: 60 * minute,
  chunk: chunk(16),
  answerBytes: 2 * mebibyte,
};

/** A film: one is a chunk of its own. */
export const film: Limits = {
  timeoutMs: 60 * minute,
  longestMs: 6 * 60 * minute,
  chunk: chunk(1),
  answerBytes: 16 * mebibyte,
};

/** Seconds of film × pixels, in those of one second at 512 × 512. */
export function filmWork({ seconds = 4, size }: { seconds?: number; size?: string }): number {
  const [width, height] = /^\d+x\d+$/.test(size ?? '') ? size!.split('x').map(Number) : [];
  return seconds * (((width ?? 512) * (height ?? 512)) / 512 ** 2);
}
