/** Chunks as a worker runs them: claim, commit, release, split. Every step is one guarded statement. */
import { createId, type OutputFormat } from '@millrace/contracts';
import type { Database } from '../database.ts';
import { claimChunk } from '../statements/claim-chunk.sql.ts';
import { commitChunk } from '../statements/commit-chunk.sql.ts';
import type { Metering } from '../statements/metering.sql.ts';
import { pauseBatches } from '../statements/pause-batches.sql.ts';
import { splitChunk } from '../statements/split-chunk.sql.ts';
import type { QueuedChunk } from './chunk-queue.store.ts';

/** A chunk that a worker holds. */
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
  /** If set, its lines are recorded as not run. */
  readonly closing: 'cancelled' | 'expired' | null;
  readonly inputFileId: string;
  readonly outputFormat: OutputFormat;
  /** ms since the batch is in progress. */
  readonly ageMs: number;
  /** Earlier attempts since it was last split that were lost: their worker crashed or lost its lock. */
  readonly lostAttempts: number;
  /** Earlier attempts since it was last split that failed with an error of ours. */
  readonly failedAttempts: number;
  /** An earlier attempt was answered, and its result could not be stored: no other call is made. */
  readonly wasAnswered: boolean;
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
  /** Failed lines by error code. */
  readonly errorCodes: Record<string, number>;
  readonly metering: Metering;
}

type ChunkAttempt = Pick<ClaimedChunk, 'batchId' | 'index' | 'attempt'>;

export class ChunkStore {
  constructor(private readonly database: Database) {}

  /** @returns null if the generation is stale, the chunk is done, or its batch has ended. */
  async claim(
    { batchId, chunk, generation }: Omit<QueuedChunk, 'lane'>,
    workerId: string,
  ): Promise<ClaimedChunk | null> {
    const values = [batchId, chunk, generation, workerId];
    const [claimed] = await this.database.prepared<ClaimedChunk>(claimChunk, values);
    return claimed ?? null;
  }

  /** @returns null if another attempt holds the chunk now: the result is void and its objects are garbage. */
  async commit(
    { batchId, index, attempt }: ChunkAttempt,
    result: ChunkResult,
  ): Promise<{ isLast: boolean } | null> {
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
      createId('event'),
      JSON.stringify(result.metering),
      JSON.stringify(result.errorCodes),
    ]);
    return committed ?? null;
  }

  /** @returns why the batch's remaining lines are recorded as not run; null while they still run. */
  async findClosing(batchId: string): Promise<ClaimedChunk['closing']> {
    const [batch] = await this.database.rows<Pick<ClaimedChunk, 'closing'>>(
      'select closing from batches where id = $1',
      [batchId],
    );
    return batch?.closing ?? null;
  }

  /** Releases a chunk unchanged, to be dispatched again after `delayMs`. */
  async release(
    { batchId, index, attempt }: ChunkAttempt,
    outcome: 'released' | 'failed',
    errorCode: string | null,
    delayMs: number,
  ): Promise<void> {
    await this.database.rows(
      `with released as (
         update chunks
         set status = 'pending', not_before = clock_timestamp() + make_interval(secs => $6::float8 / 1000)
         where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
         returning 1)
       update attempts set outcome = $4, error_code = $5, finished_at = clock_timestamp()
       from released where batch_id = $1 and chunk = $2 and number = $3`,
      [batchId, index, attempt, outcome, errorCode, delayMs],
    );
  }

  /**
   * Releases a chunk unchanged, and pauses its workspace's batches at its provider until their owner resumes them.
   * @param reason an error code. @returns the ids of the batches that this call paused.
   */
  async releaseAndPauseBatches({ batchId, index, attempt }: ChunkAttempt, reason: string): Promise<string[]> {
    const values = [batchId, index, attempt, reason];
    const rows = await this.database.rows<{ id: string }>(pauseBatches, values);
    return rows.map(({ id }) => id);
  }

  /**
   * Splits a chunk in two, both to be dispatched.
   * @param first lines and bytes of the first part. @param restLine first line of the rest, 1-based in the input file.
   * @returns the new chunk's index; null if another attempt holds the chunk now.
   */
  async split(
    { batchId, index, attempt }: ChunkAttempt,
    first: { lines: number; bytes: number },
    restLine: number,
  ): Promise<number | null> {
    const values = [batchId, index, attempt, first.lines, first.bytes, restLine];
    const [rest] = await this.database.rows<{ index: number }>(splitChunk, values);
    return rest?.index ?? null;
  }
}
