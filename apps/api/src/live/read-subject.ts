/** Reads what can be followed live, in the shape in which the API answers it. */
import { idSchema, type LiveState } from '@millrace/contracts';
import type { BatchStore } from '#database';
import { NotFound } from '#domain';
import { toBatchObject } from '../batches/batch-object.ts';
import type { ReadTask } from '../tasks/read-task.ts';

/** @param id of a batch or a task. @returns null when the workspace has no such subject. */
export type ReadSubject = (workspaceId: string, id: string) => Promise<LiveState | null>;
export const READ_SUBJECT = Symbol('read subject');

export interface ReadSubjectDeps {
  readonly batches: BatchStore;
  readonly readTask: ReadTask;
}

export function readSubjectWith(deps: ReadSubjectDeps): ReadSubject {
  return async (workspaceId, id) => {
    try {
      const isTask = idSchema('task').safeParse(id).success;
      return await (isTask ? readTaskState(workspaceId, id, deps) : readBatchState(workspaceId, id, deps));
    } catch (error) {
      if (error instanceof NotFound) return null;
      throw error;
    }
  };
}

async function readBatchState(
  workspaceId: string,
  id: string,
  { batches }: ReadSubjectDeps,
): Promise<LiveState> {
  const found = await batches.get(workspaceId, id);
  const { sequence } = found.batch;
  return { object: 'state', version: 1, type: 'batch', subject: id, sequence, data: toBatchObject(found) };
}

async function readTaskState(
  workspaceId: string,
  id: string,
  { readTask }: ReadSubjectDeps,
): Promise<LiveState> {
  const { task, sequence } = await readTask(workspaceId, id);
  return { object: 'state', version: 1, type: 'task', subject: id, sequence, data: task };
}
