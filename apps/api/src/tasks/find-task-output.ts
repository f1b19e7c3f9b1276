/** Finds the output of a task that succeeded: one of its media, else its JSON. */
import type { TaskStore } from '#database';
import { Conflict, NotFound } from '#domain';
import type { ObjectStorage } from '#storage';
import { signMediaUrl, signOutputUrl } from './sign-output-urls.ts';

/** @param index of the media, if the output has several. @throws NotFound, Conflict `no_output` */
export type FindTaskOutput = (
  workspaceId: string,
  taskId: string,
  index: number,
) => Promise<{ readonly url: string } | { readonly json: string }>;
export const FIND_TASK_OUTPUT = Symbol('find task output');

export interface FindTaskOutputDeps {
  readonly tasks: Pick<TaskStore, 'get'>;
  readonly objects: Pick<ObjectStorage, 'signedUrl'>;
}

export function findTaskOutputWith({ tasks, objects }: FindTaskOutputDeps): FindTaskOutput {
  return async (workspaceId, taskId, index) => {
    const task = await tasks.get(workspaceId, taskId);
    if (task.status !== 'succeeded') {
      throw new Conflict(`This task is ${task.status}: it has no output.`, { code: 'no_output' });
    }
    const media = task.media?.[index];
    if (media) return { url: await signMediaUrl(taskId, media.key, index, objects) };
    if (index > 0) throw new NotFound(`The output has no media ${index}.`, { code: 'output_not_found' });
    if (task.outputKey) return { url: await signOutputUrl(taskId, task.outputKey, objects) };
    return { json: JSON.stringify(task.output) };
  };
}
