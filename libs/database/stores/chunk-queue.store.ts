/** Chunks on their way into the queue: dispatch, and requeue when a job is missing. */
import type { Database } from '../database.ts';
import { dispatchChunks } from '../statements/dispatch-chunks.sql.ts';
import { listOverdueChunks, requeueChunks } from '../statements/overdue-chunks.sql.ts';

export interface QueuedChunk {
  readonly batchId: string;
  readonly chunk: number;
  readonly generation: number;
  readonly lane: string;
}

/** Seconds without a heartbeat after which the dispatcher ignores a worker's slots. */
const workerTimeoutS = 10;

/** More chunks than a lane ever has. */
const unlimited = 1e9;

export class ChunkQueueStore {
  constructor(private readonly database: Database) {}

  /**
   * Queues the next chunks of open batches as far as their lanes have room, fairly between workspaces.
   * @param window maximum number of queued and running chunks per batch. @param limit maximum number of chunks per call.
   * @param minWaiting chunks that a lane may have waiting even if it has fewer slots.
   * @returns the queued chunks, in the order in which they should run.
   */
  dispatch(window: number, limit: number, minWaiting = unlimited): Promise<QueuedChunk[]> {
    return this.database.rows<QueuedChunk>(dispatchChunks, [window, minWaiting, workerTimeoutS, limit]);
  }

  /** @returns one page of chunks whose job may be missing; see `listOverdueChunks`. */
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

  /** Gives each chunk the next generation, unless it has changed meanwhile. @returns the chunks to add to the queue. */
  requeue(chunks: readonly QueuedChunk[]): Promise<QueuedChunk[]> {
    return this.database.rows<QueuedChunk>(requeueChunks, [
      chunks.map(({ batchId }) => batchId),
      chunks.map(({ chunk }) => chunk),
      chunks.map(({ generation }) => generation),
    ]);
  }
}
