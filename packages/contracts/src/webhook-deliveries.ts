/** The log of a webhook endpoint's deliveries, and the requests that send them again. */
import { z } from 'zod';
import { integer, optional, timestamp, withDefault } from './fields.ts';
import { idSchema } from './ids.ts';
import { pageQuery } from './pages.ts';
import { eventPatterns } from './webhook-fields.ts';

export const deliveryStatuses = ['pending', 'succeeded', 'failed'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

export const deliveryListQuery = pageQuery({ max: 100, default: 20 }).extend({
  status: optional(z.enum(deliveryStatuses)),
});
export type DeliveryListQuery = z.output<typeof deliveryListQuery>;

export const deliveryObject = z.object({
  id: idSchema('delivery'),
  object: z.literal('webhook_delivery'),
  webhook_endpoint_id: idSchema('webhookEndpoint'),
  /** Also the `webhook-id` header, the same for every attempt and every webhook endpoint. */
  event_id: idSchema('event'),
  event_type: z.string(),
  subject: z.string(),
  status: z.enum(deliveryStatuses),
  attempt_count: z.int().nonnegative(),
  created_at: timestamp,
  next_attempt_at: timestamp.nullable(),
  finished_at: timestamp.nullable(),
  /** Why it ended without a final attempt: `endpoint_disabled`. */
  error_code: z.string().nullable(),
});
export type DeliveryObject = z.output<typeof deliveryObject>;

const headers = z.record(z.string(), z.string());

export const deliveryAttemptObject = z.object({
  object: z.literal('webhook_delivery.attempt'),
  number: z.int().positive(),
  started_at: timestamp,
  duration_ms: z.number().nonnegative(),
  /** Values of custom headers are not shown. */
  request: z.object({ url: z.string(), headers, body: z.string() }),
  response: z
    .object({ status: z.int(), headers, body: z.string(), body_is_truncated: z.boolean() })
    .nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  next_attempt_at: timestamp.nullable(),
});
export type DeliveryAttemptObject = z.output<typeof deliveryAttemptObject>;

export const deliveryWithAttempts = deliveryObject.extend({ attempts: z.array(deliveryAttemptObject) });
export type DeliveryWithAttempts = z.output<typeof deliveryWithAttempts>;

const unixSeconds = integer(0, 253_402_300_799);

/** Sends the failed deliveries again that were created between `since` and `until`. */
export const redeliverFailedBody = z.strictObject({ since: unixSeconds, until: optional(unixSeconds) });
export type RedeliverFailedBody = z.output<typeof redeliverFailedBody>;

export const redeliveryObject = z.object({
  object: z.literal('webhook_endpoint.redelivery'),
  /** Deliveries that are sent again. */
  count: z.int().nonnegative(),
});
export type RedeliveryObject = z.output<typeof redeliveryObject>;

/** Sends events of the feed again: from a time on, or after an event. */
export const replayBody = z
  .strictObject({
    since: optional(unixSeconds),
    until: optional(unixSeconds),
    after: optional(idSchema('event')),
    event_types: optional(eventPatterns),
    /** `missing`: only events without a delivery to this webhook endpoint; `all`: also the delivered ones. */
    include: withDefault(z.enum(['missing', 'all']), 'missing'),
  })
  .refine(({ since, after }) => since !== undefined || after !== undefined, {
    path: ['since'],
    error: 'it is required, or give an event id in after',
  });
export type ReplayBody = z.output<typeof replayBody>;

export const replayObject = z.object({
  object: z.literal('webhook_endpoint.replay'),
  /** Deliveries that were created. */
  count: z.int().nonnegative(),
  /** True if there are more events: repeat the request with `after: last_event_id`. */
  has_more: z.boolean(),
  last_event_id: idSchema('event').nullable(),
  /** True if the request starts before the oldest event that is still stored. */
  is_truncated: z.boolean(),
});
export type ReplayObject = z.output<typeof replayObject>;
