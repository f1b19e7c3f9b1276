/** A task of film as OpenAI's clients know a video. */
import type { TaskRow } from '#database';
import { toTaskProgress } from '../../tasks/task-object.ts';
import { toUnixSeconds } from '../../http/unix-seconds.ts';

const statuses = {
  scheduled: 'queued',
  queued: 'queued',
  running: 'in_progress',
  succeeded: 'completed',
  failed: 'failed',
  canceled: 'failed',
  expired: 'failed',
} as const;

interface VideoInput {
  readonly prompt?: string;
  readonly size?: string;
  readonly seconds?: number;
}

/** How long a finished video is promised to be there. */
const videoLifetimeS = 30 * 86_400;

export function toVideoObject(task: TaskRow) {
  const { prompt = null, size = '720x1280', seconds: length = 4 } = (task.input ?? {}) as VideoInput;
  const completedAt = task.status === 'succeeded' ? toUnixSeconds(task.finishedAt) : null;
  return {
    id: task.id,
    object: 'video',
    model: task.model,
    status: statuses[task.status],
    progress: Math.floor(toTaskProgress(task, Date.now())?.percent ?? 0),
    created_at: toUnixSeconds(task.createdAt),
    completed_at: completedAt,
    expires_at: completedAt === null ? null : completedAt + videoLifetimeS,
    prompt,
    size,
    seconds: String(length),
    remixed_from_video_id: null,
    error: toVideoError(task),
  };
}

function toVideoError({ status, error }: TaskRow) {
  if (error) return { code: error.code ?? 'failed', message: error.message };
  return status === 'canceled' ? { code: 'canceled', message: 'This video was cancelled.' } : null;
}
