/** Converts a task of a video kind to OpenAI's video object. */
import type { VideoObject } from '@millrace/contracts';
import type { TaskRow } from '#database';
import { buildVideo } from '#openai-endpoints';
import { toUnixSeconds } from '../../http/unix-seconds.ts';
import { toTaskProgress } from '../../tasks/task-progress.ts';

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

/** How long the content of a finished video can be downloaded. */
const contentLifetimeS = 30 * 86_400;

export function toVideoObject(task: TaskRow): VideoObject {
  const completedAt = task.status === 'succeeded' ? toUnixSeconds(task.finishedAt) : null;
  const { prompt, size, seconds } = (task.input ?? {}) as VideoInput;
  const video = buildVideo(
    { model: task.model, prompt, size, seconds },
    {
      status: statuses[task.status],
      progress: Math.floor(toTaskProgress(task, Date.now())?.percent ?? 0),
      completed_at: completedAt,
      error: toVideoError(task),
    },
  );
  return {
    id: task.id,
    ...video,
    created_at: toUnixSeconds(task.createdAt),
    expires_at: completedAt === null ? null : completedAt + contentLifetimeS,
    remixed_from_video_id: null,
  };
}

function toVideoError({ status, error }: TaskRow): VideoObject['error'] {
  if (error) return { code: error.code ?? 'failed', message: error.message };
  return status === 'canceled' ? { code: 'canceled', message: 'This video was canceled.' } : null;
}
