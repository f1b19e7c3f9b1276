/** Chunks on their way: into the queue, to a worker, to their end; every step one guarded statement. */
import { newId, type OutputFormat } from '@millrace/contracts';
import type { Database } from '../database.ts';
import { finishBatch } from '../transactions/finish-batch.ts';
import { claimChunk } from '../statements/claim-chunk.sql.ts';
import { commitChunk } from '../statements/commit-chunk.sql.ts';
import { dispatchChunks } from '../statements/dispatch-chunks.sql.ts';
import { pauseBatches } from '../statements/pause-batches.sql.ts';
import { splitChunk } from '../statements/split-chunk.sql.ts';
import type { Metering } from '../statements/metering.sql.ts';
import { reopenChunks } from '../statements/reopen-chunks.sql.ts';
import { listOverdueChunks, requeueChunks } from '../statements/overdue-chunks.sql.ts';

export interface QueuedChunk {
  readonly batchId: string;
  readonly chunk: number;
  readonly generation: number;
  readonly pool: string;
}

/** A chunk in the hands of a worker. */
export interface ClaimedChunk {
  readonly batchId: string;
  readonly index: number;
  readonly attempt: number;
  readonly workspaceId: string;
  readonly firstLine: number;
  readonly lines: number;
  readonly byteStart: number;
  readonly byteLength: number;
  readonly kind: string;
  readonly model: string;
  readonly endpoint: string;
  /** Set where its lines are to be recorded as not run. */
  readonly closing: 'cancelled' | 'expired' | null;
  readonly inputFileId: string;
  readonly outputFormat: OutputFormat;
  /** Tries before this one, since it was last halved, whose worker died or was fenced out. */
  readonly lostAttempts: number;
}

export interface StoredSegment {
  readonly key: string;
  readonly bytes: number;
}

export interface ChunkResult {
  readonly completed: number;
  readonly failed: number;
  readonly canceled: number;
  readonly expired: number;
  readonly output: StoredSegment | null;
  readonly errors: StoredSegment | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly providerMs: number;
  readonly storeMs: number;
  readonly latencyHistogram: Record<string, number>;
  /** Lines that failed, by the code of their error. */
  readonly errorCodes: Record<string, number>;
  readonly metering: Metering;
}

type Held = Pick<ClaimedChunk, 'batchId' | 'index' | 'attempt'>;

/** Seconds without a beat after which a worker's slots are not counted on. */
const workerGoneS = 10;

/** More chunks than ever wait. */
const unbounded = 1e9;

/** Times that a chunk is run again because the store has lost its segments. */
const mostReopenings = 3;

/** Asks the store which of these are not there with their size. @returns their keys. */
export type FindDamagedSegments = (segments: readonly StoredSegment[]) => Promise<readonly string[]>;

interface DoneChunk {
  readonly index: number;
  readonly attempt: number;
  readonly output: string | null;
  readonly outputBytes: number;
  readonly errors: string | null;
  readonly errorBytes: number;
}

export class ChunkStore {
  constructor(private readonly database: Database) {}

  /**
   * Fills the windows of open batches as far as their pools have room, workspaces in turn.
   * @param waiting chunks that a pool may have waiting whatever its slots. @returns what to put in the queue, in
   * the order in which it is to be run.
   */
  dispatch(window: number, limit: number, waiting = unbounded): Promise<QueuedChunk[]> {
    return this.database.rows<QueuedChunk>(dispatchChunks, [window, waiting, workerGoneS, limit]);
  }

  /** @returns null where the delivery is stale, the chunk done, or its batch over. */
  async claim(delivery: Omit<QueuedChunk, 'pool'>, workerId: string): Promise<ClaimedChunk | null> {
    const { batchId, chunk } = delivery;
    const [claimed] = await this.database.prepared<ClaimedChunk>(claimChunk, [
      batchId,
      chunk,
      delivery.generation,
      workerId,
    ]);
    return claimed ?? null;
  }

  /** @returns null where another attempt holds the chunk now: the result is void and its objects are garbage. */
  async commit({ batchId, index, attempt }: Held, result: ChunkResult): Promise<{ isLast: boolean } | null> {
    const [committed] = await this.database.prepared<{ isLast: boolean }>(commitChunk, [
      batchId,
      index,
      attempt,
      result.completed,
      result.failed,
      result.canceled,
      result.expired,
      result.output?.key ?? null,
      result.output?.bytes ?? null,
      result.errors?.key ?? null,
      result.errors?.bytes ?? null,
      result.inputTokens,
      result.outputTokens,
      Math.round(result.providerMs),
      Math.round(result.storeMs),
      JSON.stringify(result.latencyHistogram),
      Array.from({ length: 9 }, () => newId('event')),
      JSON.stringify(result.metering),
      JSON.stringify(result.errorCodes),
    ]);
    return committed ?? null;
  }

  /** @returns why the batch takes no more answers; null where it still does. */
  async findClosing(batchId: string): Promise<ClaimedChunk['closing']> {
    const [batch] = await this.database.rows<Pick<ClaimedChunk, 'closing'>>(
      'select closing from batches where id = $1',
      [batchId],
    );
    return batch?.closing ?? null;
  }

  /** Hands a chunk back untouched, to be dispatched again after `delayMs`. */
  async release(
    { batchId, index, attempt }: Held,
    outcome: 'released' | 'failed',
    errorCode: string | null,
    delayMs: number,
  ): Promise<void> {
    await this.database.rows(
      `with freed as (
         update chunks
         set status = 'pending', not_before = clock_timestamp() + make_interval(secs => $6::float8 / 1000)
         where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
         returning 1)
       update attempts set outcome = $4, error_code = $5, finished_at = clock_timestamp()
       from freed where batch_id = $1 and chunk = $2 and number = $3`,
      [batchId, index, attempt, outcome, errorCode, delayMs],
    );
  }

  /**
   * Hands a chunk back untouched, and pauses its workspace's batches at its provider until their owner resumes them.
   * @param reason a code. @returns the batches that were paused by this.
   */
  async releaseAndPauseBatches({ batchId, index, attempt }: Held, reason: string): Promise<string[]> {
    const rows = await this.database.rows<{ id: string }>(pauseBatches, [batchId, index, attempt, reason]);
    return rows.map(({ id }) => id);
  }

  /**
   * Makes two of a chunk, both to be dispatched: what stays, and the rest as a new chunk.
   * @param keep lines and bytes that stay. @param restLine the file's line with which the rest begins.
   * @returns the new chunk's index; null where another attempt holds the chunk now.
   */
  async split(
    { batchId, index, attempt }: Held,
    keep: { lines: number; bytes: number },
    restLine: number,
  ): Promise<number | null> {
    const parameters = [batchId, index, attempt, keep.lines, keep.bytes, restLine];
    const [halved] = await this.changed<{ index: number }>(splitChunk, parameters);
    return halved?.index ?? null;
  }

  /** One page of chunks whose job may be lost; see `overdueChunks`. */
  listOverdue(
    seconds: { queued: number; workerGone: number },
    after: { batchId: string; chunk: number },
    limit: number,
  ): Promise<QueuedChunk[]> {
    return this.database.rows<QueuedChunk>(listOverdueChunks, [
      seconds.queued,
      seconds.workerGone,
      after.batchId,
      after.chunk,
      limit,
    ]);
  }

  /** Gives each the next delivery number, unless it moved on meanwhile. @returns what to put in the queue. */
  requeue(chunks: readonly QueuedChunk[]): Promise<QueuedChunk[]> {
    return this.changed<QueuedChunk>(requeueChunks, [
      chunks.map(({ batchId }) => batchId),
      chunks.map(({ chunk }) => chunk),
      chunks.map(({ generation }) => generation),
    ]);
  }

  /**
   * Asks the store, before a batch is ended, whether it still has what every chunk has given it: those whose
   * segments it has lost run again, but for one that was lost too often. @returns how many they are.
   */
  async reopenDamaged(batchId: string, findDamaged: FindDamagedSegments): Promise<number> {
    const done = await this.database.rows<DoneChunk>(
      `select c.index, c.attempt, c.output_key as output, c.output_bytes as "outputBytes", c.error_key as errors,
         c.error_bytes as "errorBytes"
       from chunks c join batches b on b.id = c.batch_id
       where c.batch_id = $1 and c.status = 'done' and b.status in ('in_progress', 'finalizing', 'cancelling')`,
      [batchId],
    );
    const segments = done.flatMap(({ output, outputBytes, errors, errorBytes }) => [
      ...(output ? [{ key: output, bytes: outputBytes }] : []),
      ...(errors ? [{ key: errors, bytes: errorBytes }] : []),
    ]);
    const damaged = new Set(segments.length > 0 ? await findDamaged(segments) : []);
    const again = done.filter(({ output, errors }) => damaged.has(output ?? '') || damaged.has(errors ?? ''));
    if (again.length === 0) return 0;
    const reopened = await this.changed(reopenChunks, [
      batchId,
      again.map(({ index }) => index),
      again.map(({ attempt }) => attempt),
      mostReopenings,
    ]);
    return reopened.length;
  }

  /**
   * Ends a batch whose chunks are all done: its segments become files, its state and its fact are written, in
   * one transaction. May be called by anyone at any time. @returns whether this call ended it.
   */
  finishBatch(batchId: string): Promise<boolean> {
    return this.database.asSystem((tx) => finishBatch(tx, batchId));
  }

  private async changed<Row>(sql: string, parameters: unknown[]): Promise<Row[]> {
    const [rows] = (await this.database.rows(sql, parameters)) as unknown as [Row[], number];
    return rows;
  }
}
