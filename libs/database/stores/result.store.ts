/** The results of a batch that are available: segments of the chunks that are done, in their completion order. */
import { batchStatuses, type BatchStatus, type OutputFormat } from '@millrace/contracts';
import { NotFound } from '#domain';
import type { Database } from '../database.ts';
import type { Segment } from '../transactions/insert-file.ts';

export interface AvailableResults {
  /** Number of chunks that can be read; the next read continues after them. */
  readonly done: number;
  /** Whether more results will come. */
  readonly isIncomplete: boolean;
  readonly outputFormat: OutputFormat;
}

/** The files from which a finished batch's failed lines are retried. */
export interface RetrySource {
  readonly inputFileId: string;
  readonly errorFileId: string | null;
  readonly outputFormat: OutputFormat;
}

/** A chunk with lines that did not succeed: its part of the input, and the records of those lines. */
export interface FailedChunk {
  readonly index: number;
  readonly firstLine: number;
  readonly byteStart: number;
  readonly byteLength: number;
  readonly errors: Segment;
}

interface DoneChunk {
  outputKey: string | null;
  outputStart: number | null;
  outputBytes: number;
  errorKey: string | null;
  errorStart: number | null;
  errorBytes: number;
}

/** Statuses in which a batch has chunks that are not done, or not planned. */
const openStatuses: readonly BatchStatus[] = batchStatuses.filter((status) =>
  ['validating', 'in_progress', 'cancelling'].includes(status),
);

/** Chunks per query, so that a batch of any size is read in bounded steps. */
const pageSize = 500;

export class ResultStore {
  constructor(private readonly database: Database) {}

  /** @throws NotFound if the batch is unknown, or its output was deleted or has expired. */
  async getAvailableResults(workspaceId: string, batchId: string): Promise<AvailableResults> {
    const [batch] = await this.database.withWorkspace(workspaceId, (transaction) =>
      transaction.rows<{
        status: BatchStatus;
        chunksDone: number;
        done: number;
        count: number;
        isGone: boolean;
        outputFormat: OutputFormat;
      }>(
        `select b.status, b.output_format as "outputFormat", b.chunks_done as "chunksDone", b.chunk_count as count, coalesce((
           -- A reopened chunk leaves a gap: readers wait there until it is done again.
           select min(c.completion_order) - 1 from chunks c
           where b.chunks_reopened > 0 and c.batch_id = b.id and c.completion_order is not null and c.status <> 'done'
         ), b.chunks_done) as done, exists (
           select from files f where f.id in (b.output_file_id, b.error_file_id)
             and (f.deleted_at is not null or f.expires_at <= now())) as "isGone"
         from batches b where b.id = $1 and b.workspace_id = $2`,
        [batchId, workspaceId],
      ),
    );
    if (!batch) throw new NotFound('No such batch.', { code: 'batch_not_found' });
    if (batch.isGone) {
      throw new NotFound('The results of this batch were deleted, or have expired.', {
        code: 'results_gone',
      });
    }
    const { status, chunksDone, done, count, outputFormat } = batch;
    const areAllDone = status !== 'validating' && chunksDone === count;
    return { done, outputFormat, isIncomplete: openStatuses.includes(status) && !areAllDone };
  }

  /** @throws NotFound */
  async getRetrySource(workspaceId: string, batchId: string): Promise<RetrySource> {
    const [source] = await this.database.withWorkspace(workspaceId, (transaction) =>
      transaction.rows<RetrySource>(
        `select input_file_id as "inputFileId", error_file_id as "errorFileId", output_format as "outputFormat"
         from batches where id = $1 and workspace_id = $2`,
        [batchId, workspaceId],
      ),
    );
    if (!source) throw new NotFound('No such batch.', { code: 'batch_not_found' });
    return source;
  }

  /**
   * Yields the segments of the chunks with completion order `after + 1` to `until`, a page at a time. Of each chunk, the
   * output comes before the errors.
   */
  async *listSegments(
    workspaceId: string,
    batchId: string,
    after: number,
    until: number,
  ): AsyncGenerator<Segment[]> {
    for (let from = after; from < until; from += pageSize) {
      const chunks = await this.database.withWorkspace(workspaceId, (transaction) =>
        transaction.rows<DoneChunk>(
          `select c.output_key as "outputKey", c.output_start as "outputStart", c.output_bytes as "outputBytes",
             c.error_key as "errorKey", c.error_start as "errorStart", c.error_bytes as "errorBytes"
           from attempts a join chunks c on c.batch_id = a.batch_id and c.index = a.chunk
           where a.batch_id = $1 and a.workspace_id = $2 and a.completion_order > $3 and a.completion_order <= $4
           order by a.completion_order`,
          [batchId, workspaceId, from, Math.min(until, from + pageSize)],
        ),
      );
      yield chunks.flatMap(listSegmentsOfChunk);
    }
  }

  /** Yields the chunks that have lines in the error file, in the order of the input. */
  async *listFailedChunks(workspaceId: string, batchId: string): AsyncGenerator<FailedChunk> {
    for (let after = -1; ;) {
      const chunks = await this.database.withWorkspace(workspaceId, (transaction) =>
        transaction.rows<Omit<FailedChunk, 'errors'> & { key: string; start: number | null; bytes: number }>(
          `select index, first_line as "firstLine", byte_start as "byteStart", byte_length as "byteLength",
             error_key as key, error_start as start, error_bytes as bytes
           from chunks
           where batch_id = $1 and workspace_id = $2 and index > $3 and status = 'done' and error_key is not null
           order by index limit $4`,
          [batchId, workspaceId, after, pageSize],
        ),
      );
      for (const { key, start, bytes, ...chunk } of chunks) {
        yield { ...chunk, errors: toSegment(key, start, bytes) };
      }
      if (chunks.length < pageSize) return;
      after = chunks.at(-1)!.index;
    }
  }
}

function listSegmentsOfChunk(chunk: DoneChunk): Segment[] {
  const { outputKey, outputStart, outputBytes, errorKey, errorStart, errorBytes } = chunk;
  return [
    ...(outputKey ? [toSegment(outputKey, outputStart, outputBytes)] : []),
    ...(errorKey ? [toSegment(errorKey, errorStart, errorBytes)] : []),
  ];
}

/** The number of lines is 0: readers of results do not use it. */
function toSegment(key: string, start: number | null, bytes: number): Segment {
  return start === null ? { key, bytes, lines: 0 } : { key, bytes, lines: 0, offset: start };
}
