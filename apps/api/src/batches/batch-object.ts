/** Converts a batch to the object that the API returns, with its progress, rate and remaining time. */
import type { BatchObject } from '@millrace/contracts';
import type { BatchRow, BatchWithErrors } from '#database';
import { toUnixSeconds } from '../http/unix-seconds.ts';
import { toSubjectWebhook } from '../webhooks/webhook-objects.ts';

/** `webhookSecret`: of a webhook endpoint that was created with the batch. Only the response to its creation shows it. */
export type CreatedBatch = BatchWithErrors & { readonly webhookSecret?: string };

export function toBatchObject(
  { batch, errors, webhook, webhookSecret }: CreatedBatch,
  now = Date.now(),
): BatchObject {
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    model: batch.model,
    errors: batch.status === 'failed' ? { object: 'list', data: errors.map(toBatchError) } : null,
    input_file_id: batch.inputFileId,
    completion_window: batch.completionWindow,
    status: batch.status,
    output_file_id: batch.outputFileId,
    error_file_id: batch.errorFileId,
    created_at: toUnixSeconds(batch.createdAt),
    in_progress_at: toUnixSeconds(batch.inProgressAt),
    expires_at: toUnixSeconds(batch.expiresAt),
    finalizing_at: toUnixSeconds(batch.finalizingAt),
    completed_at: toUnixSeconds(batch.completedAt),
    failed_at: toUnixSeconds(batch.failedAt),
    expired_at: toUnixSeconds(batch.expiredAt),
    cancelling_at: toUnixSeconds(batch.cancellingAt),
    cancelled_at: toUnixSeconds(batch.cancelledAt),
    request_counts: { total: batch.total, completed: batch.completed, failed: batch.failed },
    usage: {
      input_tokens: batch.inputTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: batch.outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: batch.inputTokens + batch.outputTokens,
    },
    metadata: batch.metadata,
    millrace: {
      ...toBatchProgress(batch, now),
      webhook: webhook && toSubjectWebhook(webhook, webhookSecret),
    },
  };
}

function toBatchError({ code, line, message, param }: BatchWithErrors['errors'][number]) {
  return { code, line, message, param };
}

function toBatchProgress(batch: BatchRow, now: number): Omit<BatchObject['millrace'], 'webhook'> {
  const done = batch.completed + batch.failed + batch.canceled + batch.expired;
  const until = batch.finalizingAt?.getTime() ?? now;
  const elapsedS = batch.inProgressAt ? (until - batch.inProgressAt.getTime()) / 1_000 : 0;
  const averageRate = done > 0 && elapsedS > 0 ? done / elapsedS : null;
  const isRunning = batch.status === 'in_progress' || batch.status === 'cancelling';
  // For a running batch, the recent rate predicts the remaining time better than the average.
  const rate = isRunning ? (batch.recentRate ?? averageRate) : averageRate;
  return {
    progress: batch.total > 0 ? done / batch.total : batch.status === 'completed' ? 1 : 0,
    lines_per_second: rate && Math.round(rate * 10) / 10,
    eta_seconds: isRunning && rate && !batch.paused ? Math.ceil((batch.total - done) / rate) : null,
    paused: batch.paused,
    pause_reason: batch.paused ? batch.pauseReason : null,
    priority: batch.priority,
    retry_of: batch.retryOf,
    output_format: batch.outputFormat,
    canceled_count: batch.canceled,
    expired_count: batch.expired,
  };
}
