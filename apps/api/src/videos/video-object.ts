/** A task of film as OpenAI's clients know a video. */
import type { TaskRow } from '#database';
import { progressOf } from '../tasks/task-object.ts';
import { seconds } from '../wire/time.ts';

const statuses = {
  scheduled: 'queued',
  queued: 'queued',
  running: 'in_progress',
  succeeded: 'completed',
  failed: 'failed',
  canceled: 'failed',
  expired: 'failed',
} as const;

interface Asked {
  readonly prompt?: string;
  readonly size?: string;
  readonly seconds?: number;
}

/** How long a finished video is promised to be there. */
const keptForS = 30 * 86_400;

export function toVideoObject(task: TaskRow) {
  const { prompt = null, size = '720x1280', seconds: length = 4 } = (task.input ?? {}) as Asked;
  const completedAt = task.status === 'succeeded' ? seconds(task.finishedAt) : null;
  return {
    id: task.id,
    object: 'video',
    model: task.model,
    status: statuses[task.status],
    progress: Math.floor(progressOf(task, Date.now())?.percent ?? 0),
    created_at: seconds(task.createdAt),
    completed_at: completedAt,
    expires_at: completedAt === null ? null : completedAt + keptForS,
    prompt,
    size,
    seconds: String(length),
    remixed_from_video_id: null,
    error: errorOf(task),
  };
}

function errorOf({ status, error }: TaskRow) {
  if (error) return { code: error.code ?? 'failed', message: error.message };
  return status === 'canceled' ? { code: 'canceled', message: 'This video was cancelled.' } : null;
}
