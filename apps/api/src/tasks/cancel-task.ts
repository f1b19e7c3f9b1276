/** Cancels a task: in Postgres, then on the worker that runs it, and for the requests that wait for it. */
import type { TaskRow, TaskStore } from '#database';
import type { Bus } from '#realtime';

/** Cancelling a task that has ended changes nothing. @throws NotFound */
export type CancelTask = (workspaceId: string, taskId: string) => Promise<TaskRow>;
export const CANCEL_TASK = Symbol('cancel task');

export interface CancelTaskDeps {
  readonly tasks: Pick<TaskStore, 'cancel'>;
  readonly bus: Pick<Bus, 'publish'>;
}

export function cancelTaskWith({ tasks, bus }: CancelTaskDeps): CancelTask {
  return async (workspaceId, taskId) => {
    const task = await tasks.cancel(workspaceId, taskId);
    void bus.publish('task.cancel', { taskId });
    void bus.publish('task.ended', { taskId });
    void bus.publish('events.committed', {});
    return task;
  };
}
