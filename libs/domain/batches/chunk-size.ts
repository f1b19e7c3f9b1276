/** Computes how many lines go into a chunk: a few seconds of work, with an upper bound on the bytes a worker holds. */

export interface ChunkLimits {
  /** Target work per chunk, in seconds, when the model's speed is known. */
  readonly seconds: number;
  readonly maxLines: number;
  /** Upper bound on lines when the model's speed is not known, because it may be slow. */
  readonly unmeasuredMaxLines: number;
  /** Longest byte range of the input that a worker reads at once. */
  readonly maxBytes: number;
  /** Largest estimated total of answer bytes that a worker holds at once. */
  readonly maxAnswerBytes: number;
}

/** Target number of chunks in a batch, so that all workers get a share and progress moves in visible steps. */
const targetChunks = 20;
const minLines = 50;
/** When the speed is known, a chunk with less work than this costs more in round trips than it gains. */
const minSeconds = 0.1;

/**
 * @param total lines of the batch.
 * @param linesPerSecond of one slot, measured for this model. null when it was never measured.
 */
export function computeChunkLines(total: number, limits: ChunkLimits, linesPerSecond: number | null): number {
  const byShare = Math.ceil(total / targetChunks);
  const bySpeed =
    linesPerSecond === null ? limits.unmeasuredMaxLines : Math.ceil(linesPerSecond * limits.seconds);
  const byMinimum = Math.max(minLines, Math.ceil((linesPerSecond ?? 0) * minSeconds));
  return Math.max(1, Math.min(limits.maxLines, bySpeed, Math.max(byShare, byMinimum)));
}
