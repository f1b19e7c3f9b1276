/** How many lines make a chunk: some seconds of work, and never more bytes than a worker should hold at once. */

export interface ChunkLimits {
  /** Work a chunk should hold, in seconds, where the speed is known. */
  readonly seconds: number;
  readonly maxLines: number;
  /** The same for a model whose speed is not known: it may be slow. */
  readonly unmeasuredMaxLines: number;
  /** Longest byte range of the input that a worker reads at once. */
  readonly maxBytes: number;
  /** Longest answers, as they are estimated, that a worker holds at once. */
  readonly maxAnswerBytes: number;
}

/** Chunks that a batch should at least fall into, so that all workers have a share and progress is seen to move. */
const wantedChunks = 20;
const minLines = 50;
/** A chunk of less work costs more round trips than it is worth, where the speed is known. */
const minSeconds = 0.1;

/**
 * @param total lines of the batch.
 * @param linesPerSecond of one slot, measured for this model; null where nothing is known.
 */
export function computeChunkLines(total: number, limits: ChunkLimits, linesPerSecond: number | null): number {
  const byShare = Math.ceil(total / wantedChunks);
  const bySpeed =
    linesPerSecond === null ? limits.unmeasuredMaxLines : Math.ceil(linesPerSecond * limits.seconds);
  const byWorth = Math.max(minLines, Math.ceil((linesPerSecond ?? 0) * minSeconds));
  return Math.max(1, Math.min(limits.maxLines, bySpeed, Math.max(byShare, byWorth)));
}
