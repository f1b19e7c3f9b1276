/** Converts tasks and their attempts to the objects that the API returns. */
import type { TaskAttempt, TaskObject, TaskSummary } from '@millrace/contracts';
import type { AttemptRow, QueuePosition, TaskRow, TaskWithWebhook } from '#database';
import type { ObjectStorage } from '#storage';
import { toUnixSeconds } from '../http/unix-seconds.ts';
import { toUsd } from '../usage/to-usd.ts';
import { toSubjectWebhook } from '../webhooks/webhook-objects.ts';
import { signMediaUrl, signOutputUrl } from './sign-output-urls.ts';
import { estimateEtaSeconds, toTaskProgress } from './task-progress.ts';

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

/** @param position of a queued task. @param webhookSecret only for the response to the task's creation. */
export async function toTaskObject(
  task: TaskWithWebhook,
  objects: Pick<ObjectStorage, 'signedUrl'>,
  position: QueuePosition | null = null,
  webhookSecret?: string,
): Promise<TaskObject> {
  const { id, outputKey } = task;
  return {
    ...toTaskSummary(task),
    retry_of: task.retryOf,
    webhook: task.webhook && toSubjectWebhook(task.webhook, webhookSecret),
    progress: toTaskProgress(task, Date.now()),
    queue_position: position && position.position,
    eta_seconds: estimateEtaSeconds(task, position),
    output: await addMediaUrls(task, objects),
    output_url: outputKey && (await signOutputUrl(id, outputKey, objects)),
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

/** Adds a signed URL to each media reference in the output. */
async function addMediaUrls(task: TaskRow, objects: Pick<ObjectStorage, 'signedUrl'>): Promise<unknown> {
  const { media, output = null } = task;
  if (!media || output === null) return output;
  const urls = await Promise.all(media.map(({ key }, index) => signMediaUrl(task.id, key, index, objects)));
  const addUrls = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(addUrls);
    if (typeof value !== 'object' || value === null) return value;
    if ('object' in value && value.object === 'media' && 'index' in value)
      return { ...value, url: urls[value.index as number] };
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, addUrls(item)]));
  };
  return addUrls(output);
}
