/**
 * Splits a chunk whose workers died, to isolate the line that kills them. Both parts run again with a lost-attempt
 * count of zero.
 */
import type { ChunkStore, ClaimedChunk } from '#database';
import type { Bus } from '#realtime';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import type { InputFiles } from './input-files.ts';
import { readChunkLines } from './read-chunk-lines.ts';

export interface SplitChunkDeps {
  readonly chunks: Pick<ChunkStore, 'split'>;
  readonly inputFiles: InputFiles;
  readonly objects: ObjectStorage;
  readonly bus: Bus;
  readonly lineMaxBytes: number;
}

/** Attempts that may end with a dead worker before the chunk is split. */
const lostAttemptsUntilSplit = 3;

export const mustSplit = ({ lostAttempts, lines, closing }: ClaimedChunk): boolean =>
  lostAttempts >= lostAttemptsUntilSplit && lines > 1 && !closing;

export async function splitChunk(
  chunk: ClaimedChunk,
  deps: SplitChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const lines = [...(await readChunkLines(chunk, deps.inputFiles, deps.objects, deps.lineMaxBytes, signal))];
  const middle = lines.length >> 1;
  const firstOfRest = lines[middle]!;
  const kept = { lines: middle, bytes: firstOfRest.start - chunk.byteStart };
  const newChunk = await deps.chunks.split(chunk, kept, firstOfRest.number);
  if (newChunk === null) return;
  const { lines: lineCount, lostAttempts } = chunk;
  log.warn({ lines: lineCount, lostAttempts, newChunk }, 'split a chunk because its workers died');
  void deps.bus.publish('chunk.done', { batchId: chunk.batchId });
}
