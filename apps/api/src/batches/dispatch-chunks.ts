/**
 * Keeps the next chunks of each lane in its queue: chunks of open batches, workspaces in turn. Woken when a
 * chunk is done or a batch is planned, and once a second. Runs in one process at a time; two would do no harm.
 */
import type { QueuedChunk, ChunkQueueStore } from '#database';
import type { Queues } from '#queues';
import type { Logger } from '#telemetry';

/** Fills the queue of every lane. */
export type DispatchChunks = () => Promise<void>;
export const DISPATCH_CHUNKS = Symbol('dispatch chunks');

export interface DispatchChunksDeps {
  readonly chunks: ChunkQueueStore;
  readonly queues: Queues;
  /** Chunks of one batch in the queue or running at once. */
  readonly window: number;
  readonly log: Logger;
}

/** Chunks added to the queue by one statement; a run repeats it until there is nothing to add. */
const page = 1_000;

/** Chunks queued for a lane without a free slot, so that a worker that starts has work at once. */
const waiting = 1;

export function dispatchChunksWith({ chunks, queues, window, log }: DispatchChunksDeps): DispatchChunks {
  return async () => {
    // Checked first: chunks marked as queued while the queue is down would wait for the reconcile job.
    await queues.ping();
    for (;;) {
      const deliveries = await chunks.dispatch(window, page, waiting);
      await enqueueChunks(deliveries, queues);
      if (deliveries.length > 0) log.debug({ chunks: deliveries.length }, 'dispatched');
      if (deliveries.length < page) return;
    }
  };
}

/** Puts deliveries in the queues of their lanes. */
export async function enqueueChunks(deliveries: readonly QueuedChunk[], queues: Queues): Promise<void> {
  const byLane = Map.groupBy(deliveries, ({ lane }) => lane);
  for (const [lane, ofLane] of byLane) {
    const jobs = ofLane.map(({ batchId, chunk, generation }) => ({
      payload: { batchId, chunk, generation },
    }));
    await queues.add('batch', lane, jobs);
  }
}
