/**
 * The reconcile steps of tasks: queue those that are due, expire those that are late, then queue again those whose jobs
 * are missing from the queue.
 */
import type { QueuedTask, TaskQueueStore } from '#database';
import { buildJobId, buildTaskJob, type Queues } from '#queues';
import type { Bus } from '#realtime';
import type { Logger } from '#telemetry';
import type { ReconcileStep } from '../background/background-jobs.ts';
import { findMissingJobs, overdueAfterS } from '../background/find-missing-jobs.ts';

export const RECONCILE_TASKS = Symbol('reconcile tasks');

export interface ReconcileTasksDeps {
  readonly tasks: TaskQueueStore;
  readonly queues: Queues;
  readonly bus: Bus;
  readonly log: Logger;
}

const page = 1_000;

export function reconcileTasksWith(deps: ReconcileTasksDeps): readonly ReconcileStep[] {
  return [
    { name: 'enqueueDueTasks', run: () => enqueueDueTasks(deps) },
    { name: 'expireTasks', run: () => expireTasks(deps) },
    { name: 'redeliverTasks', run: () => redeliverTasks(deps) },
  ];
}

async function enqueueDueTasks({ tasks, queues, bus }: ReconcileTasksDeps): Promise<void> {
  for (;;) {
    const due = await tasks.queueDue(page);
    for (const [lane, ofLane] of Map.groupBy(due, (task) => task.lane)) {
      await queues.add(
        'direct',
        lane,
        ofLane.map((task) => buildTaskJob(task)),
      );
    }
    if (due.length > 0) void bus.publish('events.committed', {});
    if (due.length < page) return;
  }
}

async function expireTasks({ tasks, bus }: ReconcileTasksDeps): Promise<void> {
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

async function redeliverTasks({ tasks, queues, log }: ReconcileTasksDeps): Promise<void> {
  for (let after = ''; ;) {
    const overdue = await tasks.listOverdue(overdueAfterS, after, page);
    for (const [lane, ofLane] of Map.groupBy(overdue, (task) => task.lane)) {
      const toJobId = ({ taskId, generation }: QueuedTask) => buildJobId('direct', { taskId, generation });
      const lost = await findMissingJobs(ofLane, toJobId, (ids) => queues.findMissing('direct', lane, ids));
      if (lost.length === 0) continue;
      const requeued = await tasks.requeue(lost);
      if (requeued.length === 0) continue; // They have changed since the check.
      await queues.add(
        'direct',
        lane,
        requeued.map((task) => buildTaskJob(task)),
      );
      log.warn({ tasks: requeued.length, lane }, 'queued tasks again that were missing from the queue');
    }
    if (overdue.length < page) return;
    after = overdue.at(-1)!.taskId;
  }
}
