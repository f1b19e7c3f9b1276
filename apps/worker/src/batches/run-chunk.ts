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
import { backoffMs, Failure, type Line, type Prices } from '#domain';
import { Interrupted } from '#queues';
import { findDamaged, type ObjectStore } from '#storage';
import { linesDone, type Logger } from '#telemetry';
import { Checkpoints, TakenOver } from './checkpoints.ts';
import { HeldUp } from './held-up.ts';
import { readLines } from './read-lines.ts';
import type { InputFiles } from './input-files.ts';
import { LineRecords } from './line-records.ts';
import { claimInsisting, insist } from '../insist.ts';
import type { InHand } from '../in-hand.ts';
import { notRun, runLines, type LineRunner } from './run-lines.ts';
import type { Storing } from './storing.ts';

export interface ChunkRunner extends LineRunner {
  readonly workerId: string;
  readonly chunks: ChunkStore;
  readonly checkpoints: CheckpointStore;
  readonly inputs: InputFiles;
  readonly store: ObjectStore;
  readonly bus: Bus;
  readonly inHand: InHand;
  readonly storing: Storing;
  readonly lineMaxBytes: number;
  readonly prices: Prices;
}

export interface ChunkJob {
  readonly batchId: string;
  readonly chunk: number;
  readonly delivery: number;
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
  on: ChunkRunner,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const chunk = await claimInsisting(() => on.chunks.claim(job, on.workerId), signal);
  if (!chunk) return; // Someone else has it, or it is over.
  const { batchId: id, index, workspaceId: workspace, model } = chunk;
  const done = on.inHand.begin({ type: 'chunk', id, chunk: index, workspace, model });
  try {
    if (isToBeHalved(chunk)) {
      await halve(chunk, on, signal, log);
      return done();
    }
    const records = await recordsOf(chunk, on, signal, log);
    await on.storing.begin(() => store(chunk, records, on, log).finally(done));
  } catch (error) {
    await notRunNow(chunk, error, on, signal, log).finally(done);
  }
}

/** Kept, committed, and where it was the last the end of its batch. */
async function store(chunk: ClaimedChunk, records: LineRecords, on: ChunkRunner, log: Logger) {
  const { batchId } = chunk;
  try {
    const result = await keep(chunk, records, on).finally(() => records.release());
    const committed = await on.chunks.commit(chunk, result);
    if (!committed) {
      log.warn({ attempt: chunk.attempt }, 'another attempt took this chunk over; its result is dropped');
      await discard(result, on);
      return;
    }
    for (const outcome of ['completed', 'failed', 'canceled', 'expired'] as const) {
      linesDone.inc({ outcome }, result[outcome]);
    }
    on.bus.signal('batch', { batchId });
    void on.bus.announce('chunk.done', { batchId });
    if (committed.isLast) await finish(chunk, on, log);
  } catch (error) {
    await giveBack(chunk, error, on, on.storing.signal, log).catch((left: unknown) =>
      log.warn({ err: left }, 'left with a chunk that could not be handed back; it is found by the sweep'),
    );
  }
}

async function notRunNow(
  chunk: ClaimedChunk,
  error: unknown,
  on: ChunkRunner,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  if (error instanceof TakenOver) {
    log.warn({ attempt: chunk.attempt }, 'another attempt took this chunk over; nothing more is paid for');
  } else if (error instanceof HeldUp) await putOff(chunk, error, on, signal, log);
  else await giveBack(chunk, error, on, signal, log);
}

const isToBeHalved = ({ timesLost, lines, closing }: ClaimedChunk) =>
  timesLost >= lossesUntilHalved && lines > 1 && !closing;

/** Both halves are tried again, each with a count of losses of its own. */
async function halve(chunk: ClaimedChunk, on: ChunkRunner, signal: AbortSignal, log: Logger): Promise<void> {
  const lines = [...(await readLines(chunk, on.inputs, on.store, on.lineMaxBytes, signal))];
  const middle = lines.length >> 1;
  const rest = lines[middle]!;
  const keep = { lines: middle, bytes: rest.start - chunk.byteStart };
  const index = await on.chunks.halve(chunk, keep, rest.number);
  if (index === null) return;
  log.warn(
    { lines: chunk.lines, timesLost: chunk.timesLost, rest: index },
    'halved a chunk that workers died of',
  );
  void on.bus.announce('chunk.done', { batchId: chunk.batchId });
}

async function recordsOf(
  chunk: ClaimedChunk,
  on: ChunkRunner,
  signal: AbortSignal,
  log: Logger,
): Promise<LineRecords> {
  const lines = await readLines(chunk, on.inputs, on.store, on.lineMaxBytes, signal);
  const checkpoints = costsMoney(chunk, on) ? new Checkpoints(chunk, { ...on, log }, signal) : null;
  const records = new LineRecords(chunk.batchId, checkpoints?.take);
  await checkpoints?.restore(records, lines);
  if (chunk.closing) notRun(lines, records, `batch_${chunk.closing}`);
  else if (chunk.timesLost >= lossesOfOneLine) notRun(lines, records, 'worker_crashed');
  else await runUntilClosed(chunk, { lines, records, checkpoints }, on, signal, log);
  return records;
}

function costsMoney({ model, kind }: ClaimedChunk, { route }: LineRunner): boolean {
  const { provider, model: known } = route(model, kind as KindId);
  return provider.costs?.(known) ?? false;
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
  on: ChunkRunner,
  signal: AbortSignal,
  log: Logger,
) {
  const until = checkpoints ? AbortSignal.any([signal, checkpoints.takenOver]) : signal;
  try {
    if (chunk.timesLost > 1) await wait(Math.random() * apartMs, undefined, { signal });
    await runLines(chunk, lines, records, on, until, log, checkpoints);
    until.throwIfAborted();
  } catch (error) {
    if (!(signal.reason instanceof Interrupted && signal.reason.why === 'canceled')) throw error;
    const closing = await on.chunks.closingOf(chunk.batchId);
    if (!closing) throw error;
    notRun(lines, records, `batch_${closing}`);
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
async function keep(chunk: ClaimedChunk, records: LineRecords, on: ChunkRunner): Promise<ChunkResult> {
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
    return on.store.put(`${prefix}.${which}.${outputFormat}`, bytes);
  };
  const [output, errors] = await Promise.all([segment('output', answered), segment('error', refused)]);
  const { provider } = on.route(chunk.model, chunk.kind as KindId);
  const metering = {
    ...meter.bill(chunk.model, on.prices),
    token: provider.token ?? null,
    inputBytes: null,
    outputBytes: answered.length + refused.length,
    firstTokenMs: null,
  };
  return { ...sums, output, errors, storeMs: performance.now() - began, metering };
}

/** Nothing will ever refer to what a void attempt stored; what this misses is garbage for the store's sweep. */
async function discard({ output, errors }: ChunkResult, on: ChunkRunner): Promise<void> {
  const keys = [output, errors].flatMap((segment) => (segment ? [segment.key] : []));
  await on.store.delete(keys).catch(() => undefined);
}

async function finish({ batchId }: ClaimedChunk, on: ChunkRunner, log: Logger): Promise<void> {
  try {
    const lost = await on.chunks.reopenDamaged(batchId, (segments) => findDamaged(on.store, segments));
    if (lost > 0) {
      log.error({ chunks: lost }, 'the store has lost segments; their chunks run again');
      void on.bus.announce('chunk.done', { batchId });
    } else if (await on.chunks.finishBatch(batchId)) {
      on.bus.signal('batch', { batchId });
      void on.bus.announce('facts.written', {});
    }
  } catch (error) {
    log.warn({ err: error }, 'the last chunk is done; the sweep will write the end of its batch');
  }
}

/** What was paid for is kept. The chunk is run again when the provider says so, or when its batch is resumed. */
async function putOff(
  chunk: ClaimedChunk,
  { why, failure }: HeldUp,
  on: ChunkRunner,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const { code, retryAfterMs } = failure;
  if (why === 'limited') {
    const delayMs = Math.round((retryAfterMs ?? 0) * (1 + spread * Math.random()));
    log.info({ code, delayMs }, 'the provider limits calls; the chunk is put off');
    await insist(() => on.chunks.release(chunk, 'released', code, delayMs), signal);
  } else {
    const paused = await insist(() => on.chunks.holdBack(chunk, code), signal);
    log.error({ code, batches: paused.length, err: failure }, 'paused the workspace’s batches at a provider');
    for (const batchId of paused) on.bus.signal('batch', { batchId });
    void on.bus.announce('facts.written', {});
  }
  void on.bus.announce('chunk.done', { batchId: chunk.batchId });
}

/** Nothing is lost: the chunk goes back, at once when this worker is stopping, else after a pause. */
async function giveBack(
  chunk: ClaimedChunk,
  error: unknown,
  on: ChunkRunner,
  signal: AbortSignal,
  log: Logger,
) {
  const released = signal.aborted;
  const code = error instanceof Failure ? error.code : 'internal_error';
  const delayMs = released ? 0 : backoffMs(retry, chunk.attempt, Math.random());
  if (!released)
    log.error({ err: error, attempt: chunk.attempt, delayMs }, 'the chunk failed and will be tried again');
  const outcome = released ? 'released' : 'failed';
  await insist(() => on.chunks.release(chunk, outcome, released ? null : code, delayMs), signal);
  void on.bus.announce('chunk.done', { batchId: chunk.batchId });
}
