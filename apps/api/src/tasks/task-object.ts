/** A task's row as it goes on the wire. */
import type { TaskAttempt, TaskObject, TaskProgress, TaskSummary } from '@millrace/contracts';
import type { AttemptRow, QueuePlace, TaskRow, TaskWithWebhook } from '#database';
import type { ObjectStore } from '#storage';
import { toUsd } from '../usage/to-usd.ts';
import { toBoundWebhook } from '../webhooks/webhook-objects.ts';
import { toUnixSeconds } from '../http/unix-seconds.ts';

/** How long the signed address of an output is good. */
export const signedUrlLifetimeS = 3_600;

export function toTaskSummary(task: TaskRow): TaskSummary {
  const { inputTokens, outputTokens } = task;
  return {
    id: task.id,
    object: 'task',
    kind: task.kind,
    model: task.model,
    status: task.status,
    priority: task.priority,
    attempt: task.attempt,
    created_at: toUnixSeconds(task.createdAt),
    run_at: toUnixSeconds(task.runAt),
    deadline: toUnixSeconds(task.deadline),
    started_at: toUnixSeconds(task.startedAt),
    finished_at: toUnixSeconds(task.finishedAt),
    error: task.error,
    usage:
      inputTokens === null
        ? null
        : {
            input_tokens: inputTokens,
            output_tokens: outputTokens ?? 0,
            total_tokens: inputTokens + (outputTokens ?? 0),
          },
    metadata: task.metadata,
  };
}

/** @param place of one that is queued. @param webhookSecret shown by the answer to its creation alone. */
export async function toTaskObject(
  task: TaskWithWebhook,
  objects: Pick<ObjectStore, 'signedUrl'>,
  place: QueuePlace | null = null,
  webhookSecret?: string,
): Promise<TaskObject> {
  const { outputKey } = task;
  const how = { method: 'GET', expiresInS: signedUrlLifetimeS, filename: `${task.id}.json` } as const;
  return {
    ...toTaskSummary(task),
    retry_of: task.retryOf,
    webhook: task.webhook && toBoundWebhook(task.webhook, webhookSecret),
    progress: toTaskProgress(task, Date.now()),
    queue_position: place && place.position,
    eta_seconds: estimateEtaSeconds(task, place),
    output: await signOutputMedia(task, objects),
    output_url: outputKey && (await objects.signedUrl(outputKey, how)),
  };
}

export function toTaskAttempt(attempt: AttemptRow): TaskAttempt {
  return {
    object: 'task.attempt',
    number: attempt.number,
    worker: attempt.workerId,
    provider: attempt.provider,
    model: attempt.model,
    started_at: toUnixSeconds(attempt.startedAt),
    finished_at: toUnixSeconds(attempt.finishedAt),
    outcome: attempt.outcome,
    error_code: attempt.errorCode,
    queue_ms: attempt.queueMs,
    upstream_ms: attempt.providerMs,
    store_ms: attempt.storeMs,
    first_token_ms: attempt.firstTokenMs,
    input_tokens: attempt.inputTokens,
    output_tokens: attempt.outputTokens,
    input_bytes: attempt.inputBytes,
    output_bytes: attempt.outputBytes,
    images: attempt.images,
    media_seconds: attempt.mediaMs === null ? null : attempt.mediaMs / 1_000,
    reported_cost_usd: toUsd(attempt.reportedCost),
    estimated_cost_usd: toUsd(attempt.estimatedCost),
  };
}

/** An estimate never says that it is done. */
const maxEstimatedPercent = 95;

/**
 * Percent as the upstream says, once that is no less than what an estimate has shown; else by how long like tasks took, measured before this one began and fixed since, so
 * that it never falls. Null before the first try.
 */
export function toTaskProgress(task: TaskRow, now: number): TaskProgress | null {
  const { progress, runStartedAt, estimateMs, finishedAt, status } = task;
  if (!runStartedAt || status === 'scheduled') return null;
  const elapsedMs = Math.max(0, (finishedAt?.getTime() ?? now) - runStartedAt.getTime());
  const { percent: told, minPercent = 0 } = progress ?? {};
  const isTold = told !== undefined && told >= minPercent;
  const guess = estimateMs ? Math.min(maxEstimatedPercent, Math.floor((elapsedMs / estimateMs) * 100)) : null;
  const isDone = status === 'succeeded';
  return {
    percent: isDone ? 100 : told === undefined ? guess : Math.max(told, minPercent),
    source: isDone || isTold ? 'upstream' : told === undefined && guess === null ? 'none' : 'estimate',
    elapsed_seconds: Math.round(elapsedMs / 100) / 10,
    estimated_seconds: estimateMs && Math.round(estimateMs / 100) / 10,
    upstream_queue_position: progress?.queuePosition ?? null,
    stage: progress?.stage ?? null,
    log: progress?.log ?? null,
  };
}

/** When a queued task should be done: those before it, by as many as run at a time, and itself. */
function estimateEtaSeconds(
  { status, estimateMs, runStartedAt, progress }: TaskRow,
  place: QueuePlace | null,
): number | null {
  if (place) {
    const { position, running, typicalMs } = place;
    if (typicalMs === 0) return null;
    return Math.ceil((typicalMs * (Math.ceil(position / Math.max(running, 1)) + 1)) / 1_000);
  }
  if (status !== 'running' || !runStartedAt) return null;
  const elapsedMs = Date.now() - runStartedAt.getTime();
  const percent = progress?.percent ?? 0;
  if (percent > 0) return Math.ceil((elapsedMs * (100 - percent)) / percent / 1_000);
  return estimateMs && elapsedMs < estimateMs ? Math.ceil((estimateMs - elapsedMs) / 1_000) : null;
}

/** Each reference to the output's media is given a signed address. */
async function signOutputMedia(task: TaskRow, objects: Pick<ObjectStore, 'signedUrl'>): Promise<unknown> {
  const { media, output = null } = task;
  if (!media || output === null) return output;
  const urls = await Promise.all(media.map(({ key }, at) => signMediaUrl(task.id, key, at, objects)));
  const sign = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sign);
    if (typeof value !== 'object' || value === null) return value;
    if ('object' in value && value.object === 'media' && 'index' in value)
      return { ...value, url: urls[value.index as number] };
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sign(item)]));
  };
  return sign(output);
}

export function signMediaUrl(
  taskId: string,
  key: string,
  at: number,
  objects: Pick<ObjectStore, 'signedUrl'>,
): Promise<string> {
  const filename = `${taskId}-${at}.${key.slice(key.lastIndexOf('.') + 1)}`;
  return objects.signedUrl(key, { method: 'GET', expiresInS: signedUrlLifetimeS, filename });
}
