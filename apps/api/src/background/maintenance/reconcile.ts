/**
 * Makes good whatever a crash left between two steps: jobs that the queue lost, plans that never began, ends
 * that were not written, windows that have closed, objects of deleted files and of uploads that came to nothing.
 * Every step may be repeated.
 */
import { jobIdOf, queuePriority, type Queues } from '#queues';
import type {
  BatchStore,
  CheckpointStore,
  ChunkDelivery,
  ChunkStore,
  FileStore,
  PlanStore,
  TaskDelivery,
  TaskStore,
  UploadStore,
  WorkerStore,
} from '#database';
import type { Bus } from '#realtime';
import { findDamaged, type ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { enqueueChunks } from '../../batches/dispatch-chunks.ts';

export interface ReconcileOptions {
  readonly batches: BatchStore;
  readonly plans: PlanStore;
  readonly chunks: ChunkStore;
  readonly files: FileStore;
  readonly uploads: UploadStore;
  readonly checkpoints: CheckpointStore;
  readonly workers: WorkerStore;
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly objects: ObjectStore;
  readonly bus: Bus;
  readonly log: Logger;
}

/** Seconds after which work is asked after, a worker counts as gone, and a dead one's row goes. */
const suspectAfterS = 10;
const workerGoneS = 10;
const forgetWorkerS = 3_600;
const page = 1_000;

/** One round; a step that fails leaves the others their turn. */
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
      deps.log.warn({ err: error, step: step.name }, 'a step of the sweep failed and will be repeated');
    }
  }
}

async function redeliverPlans({ plans, queues, log }: ReconcileOptions): Promise<void> {
  const overdue = await plans.listOverdue(suspectAfterS);
  if (overdue.length === 0) return;
  const lost = await findMissingJobs(
    overdue,
    (plan) => jobIdOf('plan', plan),
    (ids) => queues.findMissing('plan', null, ids),
  );
  if (lost.length === 0) return;
  const anew = await plans.requeue(lost);
  if (anew.length === 0) return; // They moved on since the question.
  await queues.add(
    'plan',
    null,
    anew.map((payload) => ({ payload })),
  );
  log.warn({ plans: anew.length }, 'delivered plans that the queue had lost');
}

async function redeliverChunks({ chunks, queues, log }: ReconcileOptions): Promise<void> {
  let after = { batchId: '', chunk: -1 };
  for (;;) {
    const overdue = await chunks.listOverdue({ queued: suspectAfterS, workerGone: workerGoneS }, after, page);
    for (const [pool, ofPool] of Map.groupBy(overdue, (chunk) => chunk.pool)) {
      const idOf = ({ batchId, chunk, generation }: ChunkDelivery) =>
        jobIdOf('batch', { batchId, chunk, generation });
      const lost = await findMissingJobs(ofPool, idOf, (ids) => queues.findMissing('batch', pool, ids));
      if (lost.length === 0) continue;
      const anew = await chunks.requeue(lost);
      if (anew.length === 0) continue; // They moved on since the question.
      await enqueueChunks(anew, queues);
      log.warn({ chunks: anew.length, pool }, 'delivered chunks that the queue had lost');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!;
  }
}

async function redeliverTasks({ tasks, queues, log }: ReconcileOptions): Promise<void> {
  for (let after = ''; ;) {
    const overdue = await tasks.listOverdue({ queued: suspectAfterS, workerGone: workerGoneS }, after, page);
    for (const [pool, ofPool] of Map.groupBy(overdue, (task) => task.pool)) {
      const idOf = ({ taskId, generation }: TaskDelivery) => jobIdOf('direct', { taskId, generation });
      const lost = await findMissingJobs(ofPool, idOf, (ids) => queues.findMissing('direct', pool, ids));
      if (lost.length === 0) continue;
      const anew = await tasks.requeue(lost);
      if (anew.length === 0) continue; // They moved on since the question.
      await queues.add('direct', pool, anew.map(toTaskJob));
      log.warn({ tasks: anew.length, pool }, 'delivered tasks that the queue had lost');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!.taskId;
  }
}

const toTaskJob = ({ taskId, generation, priority }: TaskDelivery) => ({
  payload: { taskId, generation },
  ...queuePriority(priority),
});

async function enqueueDueTasks({ tasks, queues, bus }: ReconcileOptions): Promise<void> {
  for (;;) {
    const due = await tasks.queueDue(page);
    for (const [pool, ofPool] of Map.groupBy(due, (task) => task.pool)) {
      await queues.add('direct', pool, ofPool.map(toTaskJob));
    }
    if (due.length > 0) void bus.publish('facts.written', {});
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
    if (late.length > 0) void bus.publish('facts.written', {});
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

async function finishBatches({ batches, chunks, objects, bus, log }: ReconcileOptions): Promise<void> {
  for (const batchId of await batches.listUnfinished()) {
    const lost = await chunks.reopenDamaged(batchId, (segments) => findDamaged(objects, segments));
    if (lost > 0) {
      log.error({ batchId, chunks: lost }, 'the store has lost segments; their chunks run again');
      continue;
    }
    if (!(await chunks.finishBatch(batchId))) continue;
    bus.publishUpdate('batch', { batchId });
    void bus.publish('facts.written', {});
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

/** What was kept of chunks that are done by now, and segments that were composed into one. */
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
  await workers.deleteExpired(forgetWorkerS);
}
