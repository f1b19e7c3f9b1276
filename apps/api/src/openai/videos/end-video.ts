/** Cancels and deletes videos. */
import type { TaskRow, TaskStore } from '#database';
import type { CancelTask } from '../../tasks/cancel-task.ts';
import type { FindVideo } from './find-video.ts';

/** @throws NotFound */
export interface EndVideo {
  cancel(workspaceId: string, id: string): Promise<TaskRow>;
  /** A video that is not finished is cancelled first. */
  delete(workspaceId: string, id: string): Promise<void>;
}
export const END_VIDEO = Symbol('end video');

export interface EndVideoDeps {
  readonly tasks: Pick<TaskStore, 'delete'>;
  readonly findVideo: FindVideo;
  readonly cancelTask: CancelTask;
}

export function endVideoWith({ tasks, findVideo, cancelTask }: EndVideoDeps): EndVideo {
  return {
    async cancel(workspaceId, id) {
      await findVideo(workspaceId, id);
      return cancelTask(workspaceId, id);
    },
    async delete(workspaceId, id) {
      const { status } = await findVideo(workspaceId, id);
      if (['scheduled', 'queued', 'running'].includes(status)) await cancelTask(workspaceId, id);
      await tasks.delete(workspaceId, id);
    },
  };
}
