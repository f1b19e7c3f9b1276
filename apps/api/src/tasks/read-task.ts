/** Reads a task as the API returns it, with its queue position and signed URLs, for HTTP and for those who follow it live. */
import type { TaskObject } from '@millrace/contracts';
import type { TaskStore } from '#database';
import type { ObjectStorage } from '#storage';
import { toTaskObject } from './task-object.ts';

export interface ReadTaskResult {
  readonly task: TaskObject;
  /** Number of the task's last event. */
  readonly sequence: number;
}

/**
 * @param webhookSecret of a webhook endpoint that was created with the task; only the response to its creation shows it.
 * @throws NotFound
 */
export type ReadTask = (
  workspaceId: string,
  taskId: string,
  webhookSecret?: string,
) => Promise<ReadTaskResult>;
export const READ_TASK = Symbol('read task');

export interface ReadTaskDeps {
  readonly tasks: Pick<TaskStore, 'get' | 'findQueuePosition'>;
  readonly objects: Pick<ObjectStorage, 'signedUrl'>;
}

export function readTaskWith({ tasks, objects }: ReadTaskDeps): ReadTask {
  return async (workspaceId, taskId, webhookSecret) => {
    const row = await tasks.get(workspaceId, taskId);
    const position = row.status === 'queued' ? await tasks.findQueuePosition(taskId) : null;
    const task = await toTaskObject(row, objects, position, webhookSecret);
    return { task, sequence: row.sequence };
  };
}
