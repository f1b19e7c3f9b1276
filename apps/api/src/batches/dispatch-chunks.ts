/**
 * Keeps in the queue what each pool's workers begin next: chunks of the open batches, workspaces in turn. Woken when
 * a chunk is done or a batch is planned, and by a slow clock for what no one announced. Runs in one process at a
 * time, and two would do no harm.
 */
import type { ChunkDelivery, ChunkStore } from '#database';
import type { Queues } from '#queues';
import type { Logger } from '#telemetry';

export interface DispatchOptions {
  readonly chunks: ChunkStore;
  readonly queues: Queues;
  /** Chunks of one batch in the queue or running at once. */
  readonly window: number;
  readonly log: Logger;
}

/** Chunks put in the queue at once; a round goes on until nothing is left to place. */
const page = 1_000;

/** Chunks that wait in a pool's queue though it has no slot yet: a worker that starts finds work. */
const waiting = 1;

/** One round: fills every pool's room. */
export async function dispatchChunks({ chunks, queues, window, log }: DispatchOptions): Promise<void> {
  // Asked first: what is marked as queued while the queue is away would wait for the sweep.
  await queues.ping();
  for (;;) {
    const deliveries = await chunks.dispatch(window, page, waiting);
    await enqueueChunks(deliveries, queues);
    if (deliveries.length > 0) log.debug({ chunks: deliveries.length }, 'dispatched');
    if (deliveries.length < page) return;
  }
}

/** Puts deliveries in the queues of their pools. */
export async function enqueueChunks(deliveries: readonly ChunkDelivery[], queues: Queues): Promise<void> {
  const byPool = Map.groupBy(deliveries, ({ pool }) => pool);
  for (const [pool, ofPool] of byPool) {
    const jobs = ofPool.map(({ batchId, chunk, generation }) => ({
      payload: { batchId, chunk, generation },
    }));
    await queues.add('batch', pool, jobs);
  }
}
