/** Webhook endpoints and their deliveries as the API answers them. */
import type {
  SubjectWebhook,
  DeliveryAttemptObject,
  DeliveryObject,
  DeliveryWithAttempts,
  WebhookEndpointObject,
} from '@millrace/contracts';
import type { DeliveryAttemptRow, ListedDelivery, WebhookEndpointRow } from '#database';
import { buildPayload } from '#webhooks';
import { toUnixSeconds } from '../http/unix-seconds.ts';

/** @param secret shown once, by the answer that created it. */
export function toWebhookEndpointObject(row: WebhookEndpointRow, secret?: string): WebhookEndpointObject {
  return {
    id: row.id,
    object: 'webhook_endpoint',
    created_at: toUnixSeconds(row.createdAt),
    updated_at: toUnixSeconds(row.updatedAt),
    name: row.name,
    url: row.url,
    event_types: row.eventTypes,
    signing_secret_hint: row.secretHint,
    ...(secret && { signing_secret: secret }),
    millrace: {
      status: row.disabledAt ? 'disabled' : 'enabled',
      disabled_at: toUnixSeconds(row.disabledAt),
      disabled_reason: row.disabledReason,
      failing_since: toUnixSeconds(row.failingSince),
      headers: row.headerNames,
      metadata_filter: row.metadataFilter,
      ordered: row.ordered,
      rate_limit: row.rateLimit,
      subject: row.subject,
      old_secret_expires_at:
        row.oldSecretUntil && row.oldSecretUntil > new Date() ? toUnixSeconds(row.oldSecretUntil) : null,
    },
  };
}

export function toSubjectWebhook(row: WebhookEndpointRow, secret?: string): SubjectWebhook {
  return {
    id: row.id,
    url: row.url,
    events: row.eventTypes,
    status: row.disabledAt ? 'disabled' : 'enabled',
    signing_secret_hint: row.secretHint,
    ...(secret && { signing_secret: secret }),
  };
}

export function toDeliveryObject(row: ListedDelivery): DeliveryObject {
  return {
    id: row.id,
    object: 'webhook_delivery',
    webhook_endpoint_id: row.endpointId,
    event_id: row.eventId,
    event_type: row.eventType,
    subject: row.subject,
    status: row.status,
    attempt_count: row.attemptCount,
    created_at: toUnixSeconds(row.createdAt),
    next_attempt_at: toUnixSeconds(row.nextAttemptAt),
    finished_at: toUnixSeconds(row.finishedAt),
    error_code: row.errorCode,
  };
}

export function toDeliveryWithAttempts(
  delivery: ListedDelivery,
  attempts: readonly DeliveryAttemptRow[],
): DeliveryWithAttempts {
  const { eventId: id, eventType: type, eventAt: createdAt, eventData: data } = delivery;
  const body = buildPayload({ id, type, createdAt, data });
  return { ...toDeliveryObject(delivery), attempts: attempts.map((row) => toAttempt(row, body)) };
}

function toAttempt(row: DeliveryAttemptRow, body: string): DeliveryAttemptObject {
  return {
    object: 'webhook_delivery.attempt',
    number: row.number,
    started_at: toUnixSeconds(row.startedAt),
    duration_ms: row.durationMs,
    request: { url: row.url, headers: row.requestHeaders, body },
    response:
      row.status === null
        ? null
        : {
            status: row.status,
            headers: row.responseHeaders ?? {},
            body: row.responseBody ?? '',
            body_is_truncated: row.responseTruncated,
          },
    error: row.errorCode === null ? null : { code: row.errorCode, message: row.errorMessage ?? '' },
    next_attempt_at: toUnixSeconds(row.nextAttemptAt),
  };
}
