/** Queues plans and chunks again whose jobs are missing from the queue, because it was emptied or never got them. */
import type { ChunkQueueStore, PlanStore, QueuedChunk } from '#database';
import { buildJobId, type Queues } from '#queues';
import type { Logger } from '#telemetry';
import { findMissingJobs, overdueAfterS } from '../background/find-missing-jobs.ts';
import { enqueueChunks } from './dispatch-chunks.ts';

export interface RedeliverBatchesDeps {
  readonly plans: PlanStore;
  readonly chunks: ChunkQueueStore;
  readonly queues: Queues;
  readonly log: Logger;
}

const page = 1_000;

export async function redeliverPlans({ plans, queues, log }: RedeliverBatchesDeps): Promise<void> {
  const overdue = await plans.listOverdue(overdueAfterS.queued);
  if (overdue.length === 0) return;
  const lost = await findMissingJobs(
    overdue,
    (plan) => buildJobId('plan', plan),
    (ids) => queues.findMissing('plan', null, ids),
  );
  if (lost.length === 0) return;
  const requeued = await plans.requeue(lost);
  if (requeued.length === 0) return; // They have changed since the check.
  await queues.add(
    'plan',
    null,
    requeued.map((payload) => ({ payload })),
  );
  log.warn({ plans: requeued.length }, 'queued plans again that were missing from the queue');
}

export async function redeliverChunks({ chunks, queues, log }: RedeliverBatchesDeps): Promise<void> {
  let after = { batchId: '', chunk: -1 };
  for (;;) {
    const overdue = await chunks.listOverdue(overdueAfterS, after, page);
    for (const [lane, ofLane] of Map.groupBy(overdue, (chunk) => chunk.lane)) {
      const toJobId = ({ batchId, chunk, generation }: QueuedChunk) =>
        buildJobId('batch', { batchId, chunk, generation });
      const lost = await findMissingJobs(ofLane, toJobId, (ids) => queues.findMissing('batch', lane, ids));
      if (lost.length === 0) continue;
      const requeued = await chunks.requeue(lost);
      if (requeued.length === 0) continue; // They have changed since the check.
      await enqueueChunks(requeued, queues);
      log.warn({ chunks: requeued.length, lane }, 'queued chunks again that were missing from the queue');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!;
  }
}
