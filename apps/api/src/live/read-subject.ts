/** Reads what can be followed live, in the shape in which the API answers it. */
import { idSchema, type LiveState } from '@millrace/contracts';
import type { BatchStore, TaskStore } from '#database';
import { NotFound } from '#domain';
import type { ObjectStorage } from '#storage';
import { toBatchObject } from '../batches/batch-object.ts';
import { toTaskObject } from '../tasks/task-object.ts';

/** @param id of a batch or a task. @returns null when the workspace has no such subject. */
export type ReadSubject = (workspaceId: string, id: string) => Promise<LiveState | null>;
export const READ_SUBJECT = Symbol('read subject');

export interface ReadSubjectDeps {
  readonly batches: BatchStore;
  readonly tasks: TaskStore;
  readonly objects: ObjectStorage;
}

export function readSubjectWith(deps: ReadSubjectDeps): ReadSubject {
  return async (workspaceId, id) => {
    try {
      const isTask = idSchema('task').safeParse(id).success;
      return await (isTask ? readTask(workspaceId, id, deps) : readBatch(workspaceId, id, deps));
    } catch (error) {
      if (error instanceof NotFound) return null;
      throw error;
    }
  };
}

async function readBatch(workspaceId: string, id: string, { batches }: ReadSubjectDeps): Promise<LiveState> {
  const found = await batches.get(workspaceId, id);
  const { sequence } = found.batch;
  return { object: 'state', version: 1, type: 'batch', subject: id, sequence, data: toBatchObject(found) };
}

async function readTask(
  workspaceId: string,
  id: string,
  { tasks, objects }: ReadSubjectDeps,
): Promise<LiveState> {
  const task = await tasks.get(workspaceId, id);
  const position = task.status === 'queued' ? await tasks.findQueuePosition(id) : null;
  const data = await toTaskObject(task, objects, position);
  return { object: 'state', version: 1, type: 'task', subject: id, sequence: task.sequence, data };
}
