/** How far a task is, and when it should be done. */
import type { TaskProgress } from '@millrace/contracts';
import type { QueuePosition, TaskRow } from '#database';

/** An estimate never shows 100 %. */
const maxEstimatedPercent = 95;

/**
 * The percentage is the upstream's, once that is not lower than an estimate shown before (`minPercent`). Until then it
 * is estimated from how long similar tasks took; that duration is fixed when the run starts, so the estimate never falls.
 * @returns null before the first attempt.
 */
export function toTaskProgress(task: TaskRow, now: number): TaskProgress | null {
  const { progress, runStartedAt, estimateMs, finishedAt, status } = task;
  if (!runStartedAt || status === 'scheduled') return null;
  const elapsedMs = Math.max(0, (finishedAt?.getTime() ?? now) - runStartedAt.getTime());
  return {
    ...toPercent(task, elapsedMs),
    elapsed_seconds: toTenths(elapsedMs),
    estimated_seconds: estimateMs && toTenths(estimateMs),
    upstream_queue_position: progress?.queuePosition ?? null,
    stage: progress?.stage ?? null,
    log: progress?.log ?? null,
  };
}

function toPercent(
  { progress, estimateMs, status }: TaskRow,
  elapsedMs: number,
): Pick<TaskProgress, 'percent' | 'source'> {
  if (status === 'succeeded') return { percent: 100, source: 'upstream' };
  const { percent: reported, minPercent = 0 } = progress ?? {};
  if (reported !== undefined) {
    return reported >= minPercent
      ? { percent: reported, source: 'upstream' }
      : { percent: minPercent, source: 'estimate' };
  }
  if (!estimateMs) return { percent: null, source: 'none' };
  const estimated = Math.floor((elapsedMs / estimateMs) * 100);
  return { percent: Math.min(maxEstimatedPercent, estimated), source: 'estimate' };
}

/** Milliseconds as seconds with one decimal. */
const toTenths = (ms: number) => Math.round(ms / 100) / 10;

/**
 * Queued: the tasks before it, divided by how many run at once, and itself, at the typical duration of each.
 * Running: from its percentage, or from the duration of similar tasks.
 * @param position of a queued task. @returns null if there is nothing to estimate from.
 */
export function estimateEtaSeconds(
  { status, estimateMs, runStartedAt, progress }: TaskRow,
  position: QueuePosition | null,
): number | null {
  if (position) {
    const { running, typicalMs } = position;
    if (typicalMs === 0) return null;
    const sequentialRuns = Math.ceil(position.position / Math.max(running, 1)) + 1;
    return Math.ceil((typicalMs * sequentialRuns) / 1_000);
  }
  if (status !== 'running' || !runStartedAt) return null;
  const elapsedMs = Date.now() - runStartedAt.getTime();
  const percent = progress?.percent ?? 0;
  if (percent > 0) return Math.ceil((elapsedMs * (100 - percent)) / percent / 1_000);
  return estimateMs && elapsedMs < estimateMs ? Math.ceil((estimateMs - elapsedMs) / 1_000) : null;
}
