/** A batch's results as far as they are: the segments of the chunks that are done, in the order of their ends. */
import { batchStatuses, type BatchStatus, type OutputFormat } from '@millrace/contracts';
import { NotFound } from '#domain';
import type { Database } from '../database.ts';
import type { Segment } from './file.store.ts';

export interface AvailableResults {
  /** Chunks done by now: reading goes on after this many. */
  readonly done: number;
  /** Whether there will be more than these. */
  readonly isIncomplete: boolean;
  readonly outputFormat: OutputFormat;
}

/** Where the lines of a batch that is over and their records are to be found. */
export interface RetrySource {
  readonly inputFileId: string;
  readonly errorFileId: string | null;
  readonly outputFormat: OutputFormat;
}

/** A chunk with lines that did not succeed: where they stand in the input, and their records. */
export interface FailedChunk {
  readonly index: number;
  readonly firstLine: number;
  readonly byteStart: number;
  readonly byteLength: number;
  readonly errors: Segment;
}

interface DoneChunk {
  place: number;
  outputKey: string | null;
  outputStart: number | null;
  outputBytes: number;
  errorKey: string | null;
  errorStart: number | null;
  errorBytes: number;
}

/** States in which a batch has chunks yet to be done, or to be planned. */
const openStatuses: readonly BatchStatus[] = batchStatuses.filter((status) =>
  ['validating', 'in_progress', 'cancelling'].includes(status),
);

/** Chunks looked up at once: a batch of any size is read in bounded steps. */
const page = 500;

export class ResultStore {
  constructor(private readonly database: Database) {}

  /** @throws NotFound for an unknown batch, and for one whose output was deleted or has expired. */
  async getAvailableResults(workspaceId: string, batchId: string): Promise<AvailableResults> {
    const [batch] = await this.database.withWorkspace(workspaceId, (tx) =>
      tx.query<
        {
          status: BatchStatus;
          chunksDone: number;
          done: number;
          count: number;
          isGone: boolean;
          outputFormat: OutputFormat;
        }[]
      >(
        `select b.status, b.output_format as "outputFormat", b.chunks_done as "chunksDone", b.chunk_count as count, coalesce((
           -- One that runs again has left a gap: readers wait there for its next end.
           select min(c.place) - 1 from chunks c
           where b.reserved > 0 and c.batch_id = b.id and c.place is not null and c.status <> 'done'
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
    const isPlanned = status !== 'validating' && chunksDone === count;
    return { done, outputFormat, isIncomplete: openStatuses.includes(status) && !isPlanned };
  }

  /** @throws NotFound */
  async getRetrySource(workspaceId: string, batchId: string): Promise<RetrySource> {
    const [source] = await this.database.withWorkspace(workspaceId, (tx) =>
      tx.query<RetrySource[]>(
        `select input_file_id as "inputFileId", error_file_id as "errorFileId", output_format as "outputFormat"
         from batches where id = $1 and workspace_id = $2`,
        [batchId, workspaceId],
      ),
    );
    if (!source) throw new NotFound('No such batch.', { code: 'batch_not_found' });
    return source;
  }

  /** The segments of chunks `after + 1` to `until`, successes before the rest of each, a page at a time. */
  async *listSegments(
    workspaceId: string,
    batchId: string,
    after: number,
    until: number,
  ): AsyncGenerator<Segment[]> {
    for (let from = after; from < until; from += page) {
      const chunks = await this.database.withWorkspace(workspaceId, (tx) =>
        tx.query<DoneChunk[]>(
          `select a.done_as as place, c.output_key as "outputKey", c.output_start as "outputStart",
             c.output_bytes as "outputBytes", c.error_key as "errorKey", c.error_start as "errorStart",
             c.error_bytes as "errorBytes"
           from attempts a join chunks c on c.batch_id = a.batch_id and c.index = a.chunk
           where a.batch_id = $1 and a.workspace_id = $2 and a.done_as > $3 and a.done_as <= $4
           order by a.done_as`,
          [batchId, workspaceId, from, Math.min(until, from + page)],
        ),
      );
      yield chunks.flatMap(segmentsOf);
    }
  }

  /** Chunks with a line in the error file, in the order of the input. */
  async *listFailedChunks(workspaceId: string, batchId: string): AsyncGenerator<FailedChunk> {
    for (let after = -1; ;) {
      const chunks = await this.database.withWorkspace(workspaceId, (tx) =>
        tx.query<(FailedChunk & { key: string; start: number | null; bytes: number })[]>(
          `select index, first_line as "firstLine", byte_start as "byteStart", byte_length as "byteLength",
             error_key as key, error_start as start, error_bytes as bytes
           from chunks
           where batch_id = $1 and workspace_id = $2 and index > $3 and status = 'done' and error_key is not null
           order by index limit $4`,
          [batchId, workspaceId, after, page],
        ),
      );
      for (const { key, start, bytes, ...chunk } of chunks) {
        yield { ...chunk, errors: segment(key, start, bytes) };
      }
      if (chunks.length < page) return;
      after = chunks.at(-1)!.index;
    }
  }
}

function segmentsOf(chunk: DoneChunk): Segment[] {
  const { outputKey, outputStart, outputBytes, errorKey, errorStart, errorBytes } = chunk;
  return [
    ...(outputKey ? [segment(outputKey, outputStart, outputBytes)] : []),
    ...(errorKey ? [segment(errorKey, errorStart, errorBytes)] : []),
  ];
}

/** How many lines each holds is of no use to who reads them all. */
function segment(key: string, start: number | null, bytes: number): Segment {
  return start === null ? { key, bytes, lines: 0 } : { key, bytes, lines: 0, offset: start };
}
