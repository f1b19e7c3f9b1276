/**
 * Read this file first: how a worker runs a chunk. It claims the chunk and runs its lines in a slot. Then it queues the
 * commit (commit-chunk.ts), and the slot takes the next chunk. What it can't finish goes back (release-chunk.ts).
 *
 * Every write after the claim is ignored once another attempt has claimed the chunk.
 */
import { sleep } from '#async';
import type { KindId } from '#catalogue';
import type { CheckpointStore, ChunkStore, ClaimedChunk } from '#database';
import type { Line } from '#domain';
import { JobInterrupted } from '#queues';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import type { RunningWorkRegistry } from '../../heartbeat/running-work.ts';
import { maxFailedAttempts } from '../../release/release-policy.ts';
import { claimUntilSettled } from '../../release/retry-until-settled.ts';
import { Checkpoints } from './checkpoints.ts';
import { commitChunk, type CommitChunkDeps } from './commit-chunk.ts';
import type { CommitQueue } from './commit-queue.ts';
import type { InputFiles } from './input-files.ts';
import { LineRecords } from './line-records.ts';
import { readChunkLines } from './read-chunk-lines.ts';
import { releaseChunk } from './release-chunk.ts';
import { recordNotRun, runLines, type RunLinesDeps } from './run-lines.ts';
import { mustSplit, splitChunk } from './split-chunk.ts';

export interface RunChunkDeps extends RunLinesDeps, CommitChunkDeps {
  readonly workerId: string;
  readonly chunks: ChunkStore;
  readonly checkpoints: CheckpointStore;
  readonly inputFiles: InputFiles;
  readonly objects: ObjectStorage;
  readonly runningWork: RunningWorkRegistry;
  readonly commitQueue: CommitQueue;
  readonly lineMaxBytes: number;
}

export interface ChunkJob {
  readonly batchId: string;
  readonly chunk: number;
  readonly generation: number;
}

/**
 * A chunk of one line fails with `worker_crashed` after this many attempts whose worker died. It is more than the limit
 * for splitting, because a crash also ends the lines that ran beside the one at fault.
 */
const maxLostAttempts = 10;

/** Chunks that were lost together would start together and be lost again, so each waits a random time up to this. */
const maxStaggerMs = 3_000;

export async function runChunk(
  job: ChunkJob,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const chunk = await claimUntilSettled(() => deps.chunks.claim(job, deps.workerId), signal);
  if (!chunk) return; // Another attempt has it, or it is done.
  const { batchId: id, index, workspaceId: workspace, model } = chunk;
  const endWork = deps.runningWork.add({ type: 'chunk', id, chunk: index, workspace, model });
  try {
    if (mustSplit(chunk)) {
      await splitChunk(chunk, deps, signal, log);
      return endWork();
    }
    const records = await recordLines(chunk, deps, signal, log);
    await deps.commitQueue.add(() => commitChunk(chunk, records, deps, log).finally(endWork));
  } catch (error) {
    await releaseChunk(chunk, error, deps, signal, log).finally(endWork);
  }
}

/** @returns one record for each line of the chunk. */
async function recordLines(
  chunk: ClaimedChunk,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<LineRecords> {
  const lines = await readChunkLines(chunk, deps.inputFiles, deps.objects, deps.lineMaxBytes, signal);
  const checkpoints = isBilled(chunk, deps) ? new Checkpoints(chunk, { ...deps, log }, signal) : null;
  const records = new LineRecords(chunk.batchId, checkpoints?.add);
  await checkpoints?.restore(records, lines);
  if (chunk.closing) recordNotRun(lines, records, `batch_${chunk.closing}`);
  else if (chunk.wasAnswered || chunk.failedAttempts >= maxFailedAttempts)
    recordNotRun(lines, records, 'result_not_stored');
  else if (chunk.lostAttempts >= maxLostAttempts) recordNotRun(lines, records, 'worker_crashed');
  else await runUntilClosed(chunk, { lines, records, checkpoints }, deps, signal, log);
  return records;
}

function isBilled(chunk: ClaimedChunk, { route }: RunLinesDeps): boolean {
  const { provider, model: providerModel } = route(chunk.model, chunk.kind as KindId, chunk);
  return provider.isBilled?.(providerModel) ?? false;
}

interface ChunkWork {
  readonly lines: Iterable<Line>;
  readonly records: LineRecords;
  readonly checkpoints: Checkpoints | null;
}

/** Runs the lines. When the batch is cancelled or expires, it keeps the answers so far and records the rest as not run. */
async function runUntilClosed(
  chunk: ClaimedChunk,
  { lines, records, checkpoints }: ChunkWork,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const runSignal = checkpoints ? AbortSignal.any([signal, checkpoints.superseded]) : signal;
  try {
    if (chunk.lostAttempts > 1) await sleep(Math.random() * maxStaggerMs, signal);
    await runLines(chunk, lines, records, deps, runSignal, log, checkpoints);
    runSignal.throwIfAborted();
  } catch (error) {
    const isCanceled = signal.reason instanceof JobInterrupted && signal.reason.reason === 'canceled';
    const closing = isCanceled ? await deps.chunks.findClosing(chunk.batchId) : null;
    if (!closing) throw error;
    recordNotRun(lines, records, `batch_${closing}`);
  } finally {
    await checkpoints?.close();
  }
}
