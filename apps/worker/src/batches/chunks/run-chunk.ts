/**
 * The file to read first: what a worker does with a chunk. Claim and run its lines in a slot; then, while the slot has the
 * next, keep their records and commit.
 * Every step after the claim is void once another attempt has claimed the chunk.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Bus } from '#realtime';
import type { KindId } from '#catalogue';
import type { CheckpointStore, ChunkResult, ChunkStore, ClaimedChunk, StoredSegment } from '#database';
import { computeBackoffMs, Failure, type Line, type Prices } from '#domain';
import { Interrupted } from '#queues';
import { findDamaged, type ObjectStore } from '#storage';
import { linesDone, type Logger } from '#telemetry';
import { Checkpoints, AttemptSuperseded } from './checkpoints.ts';
import { ProviderHold } from '../../release/provider-hold.ts';
import { readChunkLines } from './read-chunk-lines.ts';
import type { InputFiles } from './input-files.ts';
import { LineRecords } from './line-records.ts';
import { claimUntilSettled, retryUntilSettled } from '../../release/retry-until-settled.ts';
import type { RunningWorkRegistry } from '../../heartbeat/running-work.ts';
import { recordNotRun, runLines, type RunLinesDeps } from './run-lines.ts';
import type { CommitQueue } from './commit-queue.ts';

export interface RunChunkDeps extends RunLinesDeps {
  readonly workerId: string;
  readonly chunks: ChunkStore;
  readonly checkpoints: CheckpointStore;
  readonly inputFiles: InputFiles;
  readonly objects: ObjectStore;
  readonly bus: Bus;
  readonly runningWork: RunningWorkRegistry;
  readonly commitQueue: CommitQueue;
  readonly lineMaxBytes: number;
  readonly prices: Prices;
}

export interface ChunkJob {
  readonly batchId: string;
  readonly chunk: number;
  readonly generation: number;
}

/**
 * Tries that may end with a dead worker before a chunk is halved, so that the line that kills comes to stand alone,
 * and before a line that stands alone is recorded as failed. More for one line: what ran beside the one that kills
 * is lost with it each time.
 */
const lossesUntilHalved = 3;
const lossesOfOneLine = 10;

/** Chunks that were lost together would be handed out together, and lost again: up to so long they are held apart. */
const apartMs = 3_000;

/** Chunks that are put off together come back up to this share later. */
const spread = 0.1;

/** How long a chunk waits after what it stands on (store, database, input) failed it. */
const retry = { baseMs: 1_000, maxMs: 30_000 };

export async function runChunk(
  job: ChunkJob,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const chunk = await claimUntilSettled(() => deps.chunks.claim(job, deps.workerId), signal);
  if (!chunk) return; // Someone else has it, or it is over.
  const { batchId: id, index, workspaceId: workspace, model } = chunk;
  const done = deps.runningWork.add({ type: 'chunk', id, chunk: index, workspace, model });
  try {
    if (isToBeHalved(chunk)) {
      await halve(chunk, deps, signal, log);
      return done();
    }
    const records = await recordsOf(chunk, deps, signal, log);
    await deps.commitQueue.add(() => store(chunk, records, deps, log).finally(done));
  } catch (error) {
    await notRunNow(chunk, error, deps, signal, log).finally(done);
  }
}

/** Kept, committed, and where it was the last the end of its batch. */
async function store(chunk: ClaimedChunk, records: LineRecords, deps: RunChunkDeps, log: Logger) {
  const { batchId } = chunk;
  try {
    const result = await keep(chunk, records, deps).finally(() => records.release());
    const committed = await deps.chunks.commit(chunk, result);
    if (!committed) {
      log.warn({ attempt: chunk.attempt }, 'another attempt took this chunk over; its result is dropped');
      await discard(result, deps);
      return;
    }
    for (const outcome of ['completed', 'failed', 'canceled', 'expired'] as const) {
      linesDone.inc({ outcome }, result[outcome]);
    }
    deps.bus.publishUpdate('batch', { batchId });
    void deps.bus.publish('chunk.done', { batchId });
    if (committed.isLast) await finish(chunk, deps, log);
  } catch (error) {
    await giveBack(chunk, error, deps, deps.commitQueue.signal, log).catch((left: unknown) =>
      log.warn({ err: left }, 'left with a chunk that could not be handed back; it is found by the sweep'),
    );
  }
}

async function notRunNow(
  chunk: ClaimedChunk,
  error: unknown,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  if (error instanceof AttemptSuperseded) {
    log.warn({ attempt: chunk.attempt }, 'another attempt took this chunk over; nothing more is paid for');
  } else if (error instanceof ProviderHold) await putOff(chunk, error, deps, signal, log);
  else await giveBack(chunk, error, deps, signal, log);
}

const isToBeHalved = ({ lostAttempts, lines, closing }: ClaimedChunk) =>
  lostAttempts >= lossesUntilHalved && lines > 1 && !closing;

/** Both halves are tried again, each with a count of losses of its own. */
async function halve(
  chunk: ClaimedChunk,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const lines = [...(await readChunkLines(chunk, deps.inputFiles, deps.objects, deps.lineMaxBytes, signal))];
  const middle = lines.length >> 1;
  const rest = lines[middle]!;
  const keep = { lines: middle, bytes: rest.start - chunk.byteStart };
  const index = await deps.chunks.split(chunk, keep, rest.number);
  if (index === null) return;
  log.warn(
    { lines: chunk.lines, timesLost: chunk.lostAttempts, rest: index },
    'halved a chunk that workers died of',
  );
  void deps.bus.publish('chunk.done', { batchId: chunk.batchId });
}

async function recordsOf(
  chunk: ClaimedChunk,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<LineRecords> {
  const lines = await readChunkLines(chunk, deps.inputFiles, deps.objects, deps.lineMaxBytes, signal);
  const checkpoints = costsMoney(chunk, deps) ? new Checkpoints(chunk, { ...deps, log }, signal) : null;
  const records = new LineRecords(chunk.batchId, checkpoints?.add);
  await checkpoints?.restore(records, lines);
  if (chunk.closing) recordNotRun(lines, records, `batch_${chunk.closing}`);
  else if (chunk.lostAttempts >= lossesOfOneLine) recordNotRun(lines, records, 'worker_crashed');
  else await runUntilClosed(chunk, { lines, records, checkpoints }, deps, signal, log);
  return records;
}

function costsMoney({ model, kind }: ClaimedChunk, { route }: RunLinesDeps): boolean {
  const { provider, model: known } = route(model, kind as KindId);
  return provider.isBilled?.(known) ?? false;
}

interface ChunkWork {
  readonly lines: Iterable<Line>;
  readonly records: LineRecords;
  readonly checkpoints: Checkpoints | null;
}

/** A cancel, or the end of the batch's window, keeps what has been answered, and records the rest as not run. */
async function runUntilClosed(
  chunk: ClaimedChunk,
  { lines, records, checkpoints }: ChunkWork,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
) {
  const until = checkpoints ? AbortSignal.any([signal, checkpoints.superseded]) : signal;
  try {
    if (chunk.lostAttempts > 1) await wait(Math.random() * apartMs, undefined, { signal });
    await runLines(chunk, lines, records, deps, until, log, checkpoints);
    until.throwIfAborted();
  } catch (error) {
    if (!(signal.reason instanceof Interrupted && signal.reason.reason === 'canceled')) throw error;
    const closing = await deps.chunks.findClosing(chunk.batchId);
    if (!closing) throw error;
    recordNotRun(lines, records, `batch_${closing}`);
  } finally {
    await checkpoints?.close();
  }
}

/**
 * Level 1: answers of eight numbers, chat text, and 384 numbers as text and as base64 went through at 276, 150, 93
 * and 62 MB/s, at zlib's usual 6 at 107, 25, 18 and 55, for files 2 to 19 % smaller (one core, 4,000 lines a segment).
 */
const compress = promisify(gzip);
const compression = { level: 1 };

/** Makes the records durable; only then may a commit show them. The attempt in the key keeps rivals apart. */
async function keep(chunk: ClaimedChunk, records: LineRecords, deps: RunChunkDeps): Promise<ChunkResult> {
  const began = performance.now();
  const prefix = `${chunk.workspaceId}/batches/${chunk.batchId}/${chunk.index}-${chunk.attempt}`;
  const { output: answered, errors: refused, sums, meter } = records.close();
  const recorded = sums.completed + sums.failed + sums.canceled + sums.expired;
  if (recorded !== chunk.lines) throw new Error(`${recorded} records were made of ${chunk.lines} lines`);
  const { outputFormat } = chunk;
  const segment = async (which: string, lines: Buffer): Promise<StoredSegment | null> => {
    if (lines.length === 0) return null;
    // A whole member each: one after the other, they are the gzip file that the batch's end lists.
    const bytes = outputFormat === 'jsonl' ? lines : await compress(lines, compression);
    return deps.objects.put(`${prefix}.${which}.${outputFormat}`, bytes);
  };
  const [output, errors] = await Promise.all([segment('output', answered), segment('error', refused)]);
  const { provider } = deps.route(chunk.model, chunk.kind as KindId);
  const metering = {
    ...meter.toMetering(chunk.model, deps.prices),
    token: provider.token ?? null,
    inputBytes: null,
    outputBytes: answered.length + refused.length,
    firstTokenMs: null,
  };
  return { ...sums, output, errors, storeMs: performance.now() - began, metering };
}

/** Nothing will ever refer to what a void attempt stored; what this misses is garbage for the store's sweep. */
async function discard({ output, errors }: ChunkResult, deps: RunChunkDeps): Promise<void> {
  const keys = [output, errors].flatMap((segment) => (segment ? [segment.key] : []));
  await deps.objects.delete(keys).catch(() => undefined);
}

async function finish({ batchId }: ClaimedChunk, deps: RunChunkDeps, log: Logger): Promise<void> {
  try {
    const lost = await deps.chunks.reopenDamaged(batchId, (segments) => findDamaged(deps.objects, segments));
    if (lost > 0) {
      log.error({ chunks: lost }, 'the store has lost segments; their chunks run again');
      void deps.bus.publish('chunk.done', { batchId });
    } else if (await deps.chunks.finishBatch(batchId)) {
      deps.bus.publishUpdate('batch', { batchId });
      void deps.bus.publish('facts.written', {});
    }
  } catch (error) {
    log.warn({ err: error }, 'the last chunk is done; the sweep will write the end of its batch');
  }
}

/** What was paid for is kept. The chunk is run again when the provider says so, or when its batch is resumed. */
async function putOff(
  chunk: ClaimedChunk,
  { why, failure }: ProviderHold,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const { code, retryAfterMs } = failure;
  if (why === 'limited') {
    const delayMs = Math.round((retryAfterMs ?? 0) * (1 + spread * Math.random()));
    log.info({ code, delayMs }, 'the provider limits calls; the chunk is put off');
    await retryUntilSettled(() => deps.chunks.release(chunk, 'released', code, delayMs), signal);
  } else {
    const paused = await retryUntilSettled(() => deps.chunks.releaseAndPauseBatches(chunk, code), signal);
    log.error({ code, batches: paused.length, err: failure }, 'paused the workspace’s batches at a provider');
    for (const batchId of paused) deps.bus.publishUpdate('batch', { batchId });
    void deps.bus.publish('facts.written', {});
  }
  void deps.bus.publish('chunk.done', { batchId: chunk.batchId });
}

/** Nothing is lost: the chunk goes back, at once when this worker is stopping, else after a pause. */
async function giveBack(
  chunk: ClaimedChunk,
  error: unknown,
  deps: RunChunkDeps,
  signal: AbortSignal,
  log: Logger,
) {
  const released = signal.aborted;
  const code = error instanceof Failure ? error.code : 'internal_error';
  const delayMs = released ? 0 : computeBackoffMs(retry, chunk.attempt, Math.random());
  if (!released)
    log.error({ err: error, attempt: chunk.attempt, delayMs }, 'the chunk failed and will be tried again');
  const outcome = released ? 'released' : 'failed';
  await retryUntilSettled(() => deps.chunks.release(chunk, outcome, released ? null : code, delayMs), signal);
  void deps.bus.publish('chunk.done', { batchId: chunk.batchId });
}
