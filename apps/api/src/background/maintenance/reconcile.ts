/**
 * Completes what a crash interrupted: jobs missing from the queue, plans that never started, batches that were not
 * finished, windows that have closed, objects of deleted files and of uploads that were not completed. Every step may
 * be repeated.
 */
import { buildJobId, toQueuePriority, type Queues } from '#queues';
import type {
  BatchCompletionStore,
  BatchStore,
  CheckpointStore,
  QueuedChunk,
  ChunkQueueStore,
  FileStore,
  PlanStore,
  QueuedTask,
  TaskQueueStore,
  UploadStore,
  WorkerStore,
} from '#database';
import type { Bus } from '#realtime';
import { findDamaged, type ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { enqueueChunks } from '../../batches/dispatch-chunks.ts';

export interface ReconcileOptions {
  readonly batches: BatchStore;
  readonly plans: PlanStore;
  readonly chunks: ChunkQueueStore;
  readonly completion: BatchCompletionStore;
  readonly files: FileStore;
  readonly uploads: UploadStore;
  readonly checkpoints: CheckpointStore;
  readonly workers: WorkerStore;
  readonly tasks: TaskQueueStore;
  readonly queues: Queues;
  readonly objects: ObjectStorage;
  readonly bus: Bus;
  readonly log: Logger;
}

/** Seconds after which queued work is checked, a worker counts as gone, and the row of a gone worker is deleted. */
const suspectAfterS = 10;
const workerGoneS = 10;
const deleteWorkerAfterS = 3_600;
const page = 1_000;

/** Runs all steps; a step that fails does not stop the others. */
export async function reconcile(deps: ReconcileOptions): Promise<void> {
  for (const step of [
    redeliverPlans,
    redeliverChunks,
    enqueueDueTasks,
    expireTasks,
    redeliverTasks,
    finishBatches,
    expireBatches,
    deleteObjects,
    deleteParts,
    deleteRetired,
    deleteExpiredWorkers,
  ]) {
    try {
      await step(deps);
    } catch (error) {
      deps.log.warn({ err: error, step: step.name }, 'a reconcile step failed; it is retried');
    }
  }
}

async function redeliverPlans({ plans, queues, log }: ReconcileOptions): Promise<void> {
  const overdue = await plans.listOverdue(suspectAfterS);
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

async function redeliverChunks({ chunks, queues, log }: ReconcileOptions): Promise<void> {
  let after = { batchId: '', chunk: -1 };
  for (;;) {
    const overdue = await chunks.listOverdue({ queued: suspectAfterS, workerGone: workerGoneS }, after, page);
    for (const [pool, ofPool] of Map.groupBy(overdue, (chunk) => chunk.pool)) {
      const idOf = ({ batchId, chunk, generation }: QueuedChunk) =>
        buildJobId('batch', { batchId, chunk, generation });
      const lost = await findMissingJobs(ofPool, idOf, (ids) => queues.findMissing('batch', pool, ids));
      if (lost.length === 0) continue;
      const requeued = await chunks.requeue(lost);
      if (requeued.length === 0) continue; // They have changed since the check.
      await enqueueChunks(requeued, queues);
      log.warn({ chunks: requeued.length, pool }, 'queued chunks again that were missing from the queue');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!;
  }
}

async function redeliverTasks({ tasks, queues, log }: ReconcileOptions): Promise<void> {
  for (let after = ''; ;) {
    const overdue = await tasks.listOverdue({ queued: suspectAfterS, workerGone: workerGoneS }, after, page);
    for (const [pool, ofPool] of Map.groupBy(overdue, (task) => task.pool)) {
      const idOf = ({ taskId, generation }: QueuedTask) => buildJobId('direct', { taskId, generation });
      const lost = await findMissingJobs(ofPool, idOf, (ids) => queues.findMissing('direct', pool, ids));
      if (lost.length === 0) continue;
      const requeued = await tasks.requeue(lost);
      if (requeued.length === 0) continue; // They have changed since the check.
      await queues.add('direct', pool, requeued.map(toTaskJob));
      log.warn({ tasks: requeued.length, pool }, 'queued tasks again that were missing from the queue');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!.taskId;
  }
}

const toTaskJob = ({ taskId, generation, priority }: QueuedTask) => ({
  payload: { taskId, generation },
  ...toQueuePriority(priority),
});

async function enqueueDueTasks({ tasks, queues, bus }: ReconcileOptions): Promise<void> {
  for (;;) {
    const due = await tasks.queueDue(page);
    for (const [pool, ofPool] of Map.groupBy(due, (task) => task.pool)) {
      await queues.add('direct', pool, ofPool.map(toTaskJob));
    }
    if (due.length > 0) void bus.publish('events.committed', {});
    if (due.length < page) return;
  }
}

async function expireTasks({ tasks, bus }: ReconcileOptions): Promise<void> {
  for (;;) {
    const late = await tasks.expireOverdue(page);
    for (const taskId of late) {
      void bus.publish('task.cancel', { taskId });
      void bus.publish('task.ended', { taskId });
    }
    if (late.length > 0) void bus.publish('events.committed', {});
    if (late.length < page) return;
  }
}

async function findMissingJobs<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  missing: (ids: string[]) => Promise<string[]>,
) {
  const lost = new Set(await missing(items.map(idOf)));
  return items.filter((item) => lost.has(idOf(item)));
}

async function finishBatches({ batches, completion, objects, bus, log }: ReconcileOptions): Promise<void> {
  for (const batchId of await batches.listUnfinished()) {
    const lost = await completion.reopenDamaged(batchId, (segments) => findDamaged(objects, segments));
    if (lost > 0) {
      log.error(
        { batchId, chunks: lost },
        'segments are missing from object storage; their chunks run again',
      );
      continue;
    }
    if (!(await completion.finishBatch(batchId))) continue;
    bus.publishUpdate('batch', { batchId });
    void bus.publish('events.committed', {});
  }
}

async function expireBatches({ batches, bus }: ReconcileOptions): Promise<void> {
  for (const batchId of await batches.expireOverdue()) {
    bus.publishUpdate('batch', { batchId });
    void bus.publish('batch.closing', { batchId });
  }
}

async function deleteObjects({ files, objects }: ReconcileOptions): Promise<void> {
  for (;;) {
    const abandoned = await files.listAbandonedSegments(page);
    const keys = abandoned.map(({ key }) => key);
    await objects.delete(keys);
    await files.deleteSegments(keys);
    if (abandoned.length < page) return;
  }
}

async function deleteParts({ uploads, objects }: ReconcileOptions): Promise<void> {
  for (;;) {
    const abandoned = await uploads.listAbandonedParts(page);
    await objects.delete(abandoned.map(({ key }) => key));
    await uploads.deleteParts(abandoned.map(({ id }) => id));
    if (abandoned.length < page) return;
  }
}

/** Deletes checkpoints of chunks that are done, and segments that were composed into one object. */
async function deleteRetired({ checkpoints, objects }: ReconcileOptions): Promise<void> {
  await checkpoints.retireFinished();
  for (;;) {
    const keys = await checkpoints.listRetiredObjects(page);
    await objects.delete(keys);
    await checkpoints.deleteRetiredObjects(keys);
    if (keys.length < page) return;
  }
}

async function deleteExpiredWorkers({ workers }: ReconcileOptions): Promise<void> {
  await workers.deleteExpired(deleteWorkerAfterS);
}
