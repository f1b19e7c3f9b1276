/** Limits shared by kinds of similar cost. A chunk is some seconds of work: few lines if each is expensive. */
import type { ChunkLimits } from '#domain';

interface Limits {
  readonly timeoutMs: number;
  readonly maxTimeoutMs: number;
  readonly chunk: ChunkLimits;
  readonly answerBytes: number;
}

const kibibyte = 2 ** 10;
const mebibyte = 2 ** 20;
const minute = 60_000;

const buildChunkLimits = (maxLines: number): ChunkLimits => ({
  seconds: 10,
  maxLines,
  unmeasuredMaxLines: Math.min(maxLines, 64),
  maxBytes: 32 * mebibyte,
  maxAnswerBytes: 64 * mebibyte,
});

/** One forward pass for each line, e.g. labels or a caption. */
export const classificationLimits: Limits = {
  timeoutMs: minute,
  maxTimeoutMs: 10 * minute,
  chunk: buildChunkLimits(2_000),
  answerBytes: kibibyte,
};

/** Text generated token by token. */
export const textGenerationLimits: Limits = {
  timeoutMs: 5 * minute,
  maxTimeoutMs: 60 * minute,
  chunk: buildChunkLimits(256),
  answerBytes: 4 * kibibyte,
};

/** One image, or some seconds of audio. */
export const imageLimits: Limits = {
  timeoutMs: 5 * minute,
  maxTimeoutMs: 60 * minute,
  chunk: buildChunkLimits(16),
  answerBytes: 2 * mebibyte,
};

/** One video. Each is a chunk of its own. */
export const videoLimits: Limits = {
  timeoutMs: 60 * minute,
  maxTimeoutMs: 6 * 60 * minute,
  chunk: buildChunkLimits(1),
  answerBytes: 16 * mebibyte,
};

/** @returns seconds × pixels, relative to one second at 512 × 512. */
export function estimateVideoWork({ seconds = 4, size }: { seconds?: number; size?: string }): number {
  const [width, height] = /^\d+x\d+$/.test(size ?? '') ? size!.split('x').map(Number) : [];
  return seconds * (((width ?? 512) * (height ?? 512)) / 512 ** 2);
}
