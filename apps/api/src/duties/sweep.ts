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
import { enqueueChunks } from './dispatcher.ts';

export interface SweepOptions {
  readonly batches: BatchStore;
  readonly plans: PlanStore;
  readonly chunks: ChunkStore;
  readonly files: FileStore;
  readonly uploads: UploadStore;
  readonly checkpoints: CheckpointStore;
  readonly workers: WorkerStore;
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly store: ObjectStore;
  readonly bus: Bus;
  readonly log: Logger;
}

/** Seconds after which work is asked after, a worker counts as gone, and a dead one's row goes. */
const suspectAfterS = 10;
const workerGoneS = 10;
const forgetWorkerS = 3_600;
const page = 1_000;

/** One round; a step that fails leaves the others their turn. */
export async function sweep(on: SweepOptions): Promise<void> {
  for (const step of [
    redeliverPlans,
    redeliverChunks,
    queueDueTasks,
    expireTasks,
    redeliverTasks,
    finishBatches,
    expireBatches,
    deleteObjects,
    deleteParts,
    deleteRetired,
    forgetWorkers,
  ]) {
    try {
      await step(on);
    } catch (error) {
      on.log.warn({ err: error, step: step.name }, 'a step of the sweep failed and will be repeated');
    }
  }
}

async function redeliverPlans({ plans, queues, log }: SweepOptions): Promise<void> {
  const overdue = await plans.overdue(suspectAfterS);
  if (overdue.length === 0) return;
  const lost = await lostOf(
    overdue,
    (plan) => jobIdOf('plan', plan),
    (ids) => queues.missing('plan', null, ids),
  );
  if (lost.length === 0) return;
  const anew = await plans.redeliver(lost);
  if (anew.length === 0) return; // They moved on since the question.
  await queues.add(
    'plan',
    null,
    anew.map((payload) => ({ payload })),
  );
  log.warn({ plans: anew.length }, 'delivered plans that the queue had lost');
}

async function redeliverChunks({ chunks, queues, log }: SweepOptions): Promise<void> {
  let after = { batchId: '', chunk: -1 };
  for (;;) {
    const overdue = await chunks.overdue({ queued: suspectAfterS, workerGone: workerGoneS }, after, page);
    for (const [pool, ofPool] of Map.groupBy(overdue, (chunk) => chunk.pool)) {
      const idOf = ({ batchId, chunk, delivery }: ChunkDelivery) =>
        jobIdOf('batch', { batchId, chunk, delivery });
      const lost = await lostOf(ofPool, idOf, (ids) => queues.missing('batch', pool, ids));
      if (lost.length === 0) continue;
      const anew = await chunks.redeliver(lost);
      if (anew.length === 0) continue; // They moved on since the question.
      await enqueueChunks(anew, queues);
      log.warn({ chunks: anew.length, pool }, 'delivered chunks that the queue had lost');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!;
  }
}

async function redeliverTasks({ tasks, queues, log }: SweepOptions): Promise<void> {
  for (let after = ''; ;) {
    const overdue = await tasks.overdue({ queued: suspectAfterS, workerGone: workerGoneS }, after, page);
    for (const [pool, ofPool] of Map.groupBy(overdue, (task) => task.pool)) {
      const idOf = ({ taskId, delivery }: TaskDelivery) => jobIdOf('interactive', { taskId, delivery });
      const lost = await lostOf(ofPool, idOf, (ids) => queues.missing('interactive', pool, ids));
      if (lost.length === 0) continue;
      const anew = await tasks.redeliver(lost);
      if (anew.length === 0) continue; // They moved on since the question.
      await queues.add('interactive', pool, anew.map(jobOf));
      log.warn({ tasks: anew.length, pool }, 'delivered tasks that the queue had lost');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!.taskId;
  }
}

const jobOf = ({ taskId, delivery, priority }: TaskDelivery) => ({
  payload: { taskId, delivery },
  ...queuePriority(priority),
});

async function queueDueTasks({ tasks, queues, bus }: SweepOptions): Promise<void> {
  for (;;) {
    const due = await tasks.due(page);
    for (const [pool, ofPool] of Map.groupBy(due, (task) => task.pool)) {
      await queues.add('interactive', pool, ofPool.map(jobOf));
    }
    if (due.length > 0) void bus.announce('facts.written', {});
    if (due.length < page) return;
  }
}

async function expireTasks({ tasks, bus }: SweepOptions): Promise<void> {
  for (;;) {
    const late = await tasks.expire(page);
    for (const taskId of late) {
      void bus.announce('task.cancel', { taskId });
      void bus.announce('task.ended', { taskId });
    }
    if (late.length > 0) void bus.announce('facts.written', {});
    if (late.length < page) return;
  }
}

async function lostOf<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  missing: (ids: string[]) => Promise<string[]>,
) {
  const lost = new Set(await missing(items.map(idOf)));
  return items.filter((item) => lost.has(idOf(item)));
}

async function finishBatches({ batches, chunks, store, bus, log }: SweepOptions): Promise<void> {
  for (const batchId of await batches.unfinished()) {
    const lost = await chunks.reopenDamaged(batchId, (segments) => findDamaged(store, segments));
    if (lost > 0) {
      log.error({ batchId, chunks: lost }, 'the store has lost segments; their chunks run again');
      continue;
    }
    if (!(await chunks.finishBatch(batchId))) continue;
    bus.signal('batch', { batchId });
    void bus.announce('facts.written', {});
  }
}

async function expireBatches({ batches, bus }: SweepOptions): Promise<void> {
  for (const batchId of await batches.expireOverdue()) {
    bus.signal('batch', { batchId });
    void bus.announce('batch.closing', { batchId });
  }
}

async function deleteObjects({ files, store }: SweepOptions): Promise<void> {
  for (;;) {
    const abandoned = await files.abandonedSegments(page);
    const keys = abandoned.map(({ key }) => key);
    await store.delete(keys);
    await files.forgetSegments(keys);
    if (abandoned.length < page) return;
  }
}

async function deleteParts({ uploads, store }: SweepOptions): Promise<void> {
  for (;;) {
    const abandoned = await uploads.abandonedParts(page);
    await store.delete(abandoned.map(({ key }) => key));
    await uploads.forgetParts(abandoned.map(({ id }) => id));
    if (abandoned.length < page) return;
  }
}

/** What was kept of chunks that are done by now, and segments that were composed into one. */
async function deleteRetired({ checkpoints, store }: SweepOptions): Promise<void> {
  await checkpoints.retire();
  for (;;) {
    const keys = await checkpoints.retired(page);
    await store.delete(keys);
    await checkpoints.forget(keys);
    if (keys.length < page) return;
  }
}

async function forgetWorkers({ workers }: SweepOptions): Promise<void> {
  await workers.forget(forgetWorkerS);
}
