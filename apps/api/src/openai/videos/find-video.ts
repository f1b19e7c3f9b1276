/** Finds the task of a video, and the stored content of one that succeeded. */
import type { VideoContentQuery } from '@millrace/contracts';
import type { StoredMedia, TaskRow, TaskStore } from '#database';
import { Conflict, NotFound } from '#domain';
import { findEndpoint } from '#openai-endpoints';

export const videoEndpoint = findEndpoint('/v1/videos')!;

/** @throws NotFound, also for a task of another kind. */
export type FindVideo = (workspaceId: string, id: string) => Promise<TaskRow>;
export const FIND_VIDEO = Symbol('find video');

export interface FindVideoDeps {
  readonly tasks: Pick<TaskStore, 'get'>;
}

export function findVideoWith({ tasks }: FindVideoDeps): FindVideo {
  return async (workspaceId, id) => {
    const task = await tasks.get(workspaceId, id);
    if (videoEndpoint.kinds.some((kind) => kind === task.kind)) return task;
    throw new NotFound('No such video.', { code: 'video_not_found' });
  };
}

/** @throws Conflict `video_not_ready`; NotFound `variant_not_found` */
export function findVideoContent(
  { status, media }: TaskRow,
  variant: VideoContentQuery['variant'],
): StoredMedia {
  if (status !== 'succeeded') throw new Conflict(`This video is ${status}.`, { code: 'video_not_ready' });
  const type = variant === 'video' ? 'video/' : 'image/';
  const stored = media?.find((each) => each.type.startsWith(type));
  if (!stored) throw new NotFound(`This video has no ${variant}.`, { code: 'variant_not_found' });
  return stored;
}
