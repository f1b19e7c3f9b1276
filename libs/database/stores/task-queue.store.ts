/** Time-driven changes of tasks: queue when due, expire, and requeue when a job is missing. */
import type { Database } from '../database.ts';
import { listOverdueTasks, requeueTasks } from '../statements/overdue-tasks.sql.ts';
import { expireTasks, queueDueTasks } from '../statements/task-schedule.sql.ts';

export interface QueuedTask {
  readonly taskId: string;
  readonly generation: number;
  readonly lane: string;
  readonly workspaceId: string;
  readonly kind: string;
  readonly model: string;
  readonly priority: number;
}

export class TaskQueueStore {
  constructor(private readonly database: Database) {}

  /** Queues scheduled tasks whose time has come. @returns the tasks to add to the queue. */
  queueDue(limit: number): Promise<QueuedTask[]> {
    return this.database.rows<QueuedTask>(queueDueTasks, [limit]);
  }

  /** Expires tasks that are past their start_by or deadline. @returns their ids. */
  async expireOverdue(limit: number): Promise<string[]> {
    const rows = await this.database.rows<{ taskId: string }>(expireTasks, [limit]);
    return rows.map(({ taskId }) => taskId);
  }

  /**
   * @param seconds after which a queued task is suspect, and a worker counts as dead.
   * @returns one page of tasks whose job may be missing.
   */
  listOverdue(
    seconds: { queued: number; workerGone: number },
    after: string,
    limit: number,
  ): Promise<QueuedTask[]> {
    const values = [seconds.queued, seconds.workerGone, after, limit];
    return this.database.rows<QueuedTask>(listOverdueTasks, values);
  }

  /** Gives each task the next generation, unless it has changed meanwhile. @returns the tasks to add to the queue. */
  requeue(tasks: readonly QueuedTask[]): Promise<QueuedTask[]> {
    return this.database.rows<QueuedTask>(requeueTasks, [
      tasks.map(({ taskId }) => taskId),
      tasks.map(({ generation }) => generation),
    ]);
  }
}
