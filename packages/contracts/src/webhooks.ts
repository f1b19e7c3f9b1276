/** Webhooks on the wire: endpoints as the `openai` package (7.19 and later) manages them, deliveries and what may be asked of them. */
import { z } from 'zod';
import { factTypes } from './events.ts';
import { idSchema } from './ids.ts';
import { pageQuery } from './pages.ts';

/** Types that may be subscribed to before anything here sends them: stock clients name them beside others. */
const reservedTypes = [
  ...['completed', 'failed', 'cancelled', 'incomplete'].map((end) => `response.${end}`),
  ...['completed', 'failed'].map((end) => `video.${end}`),
] as const;

/** What is sent, and so what `GET /v1/webhook_event_types` lists. */
export const webhookEventTypes: readonly string[] = factTypes;
const knownTypes = [...new Set([...factTypes, ...reservedTypes])];

/** `*`, `batch.*`, or one type by its name. */
const isPattern = (text: string) =>
  text === '*' ||
  (text.endsWith('.*')
    ? knownTypes.some((type) => type.startsWith(text.slice(0, -1)))
    : knownTypes.includes(text));

/** Whether one of them is meant by a pattern. */
export function matchesEventType(pattern: string, type: string): boolean {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

const eventPatterns = z
  .array(
    z.string().refine(isPattern, {
      error: `must be * or one of ${knownTypes.join(', ')}, or their beginning and .*`,
    }),
  )
  .min(1, 'at least one event type')
  .max(64, '64 event types at most')
  .transform((patterns) => [...new Set(patterns)]);

const url = z.string().min(1).max(2_048, 'a URL has 2,048 characters at most');

/** Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. */
const signingSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'a signing secret is whsec_ and 24 to 64 bytes in base64')
  .refine((secret) => {
    const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64').length;
    return bytes >= 24 && bytes <= 64;
  }, 'a signing secret is whsec_ and 24 to 64 bytes in base64');

/** What a request is made of may not be changed by a custom header, nor how it is signed. */
const ownHeaders =
  /^(host|connection|content-(length|type|encoding)|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*|accept-encoding|user-agent|webhook-.*|svix-.*)$/;

const customHeaders = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'a header’s name has 1 to 64 characters of RFC 9110'),
    z
      .string()
      .regex(/^[\x20-\x7e]{0,1024}$/, 'a header’s value has 1,024 printable ASCII characters at most'),
  )
  .refine((headers) => Object.keys(headers).length <= 20, '20 headers at most')
  .refine(
    (headers) => !Object.keys(headers).some((name) => ownHeaders.test(name.toLowerCase())),
    'headers that carry the request or its signature cannot be set',
  );

const endpointFields = z.object({
  name: z.string().trim().min(1, 'a name has 1 to 256 characters').max(256, 'a name has 1 to 256 characters'),
  url,
  event_types: eventPatterns,
  /** Sent with every delivery; kept encrypted, and shown by name only. */
  headers: customHeaders.nullish(),
  /** Only events of batches and tasks whose metadata has all of these pairs. */
  metadata_filter: z.record(z.string().max(64), z.string().max(512)).nullish(),
  /** One delivery at a time: of a batch or task, or of all. */
  ordered: z.enum(['subject', 'feed']).nullish(),
  /** Deliveries a second. */
  rate_limit: z.int().min(1).max(10_000).nullish(),
});

export const createEndpointBody = endpointFields;
export type CreateEndpointBody = z.output<typeof createEndpointBody>;

/** What is left out stays; null takes away. `disabled: false` enables an endpoint again. */
export const updateEndpointBody = endpointFields
  .partial()
  .extend({ disabled: z.boolean().optional() })
  .optional();
export type UpdateEndpointBody = NonNullable<z.output<typeof updateEndpointBody>>;

export const rotateSecretBody = z
  .object({ keep_old_secret_active_for_24_hours: z.boolean().default(false) })
  .optional();
export type RotateSecretBody = z.output<typeof rotateSecretBody>;

export const testEndpointBody = z.object({
  event_type: z.string().refine((type) => knownTypes.includes(type), {
    error: `must be one of ${knownTypes.join(', ')}`,
  }),
});
export type TestEndpointBody = z.output<typeof testEndpointBody>;

export const endpointListQuery = pageQuery({ max: 100, default: 20 });

/**
 * The webhook of one batch or task: an endpoint like any other, but for that subject alone and not listed.
 * @param usual what is sent where `events` does not say: its ends, and what its owner has to do something about.
 */
const webhookOn = (usual: string[]) =>
  z.object({
    url,
    events: eventPatterns.default(usual),
    /** Signs its deliveries; one is made, and shown once, where none is given. */
    secret: signingSecret.optional(),
  });
export const webhookBody = webhookOn(
  ['completed', 'failed', 'expired', 'cancelled', 'paused'].map((type) => `batch.${type}`),
);
export const taskWebhookBody = webhookOn(
  ['succeeded', 'failed', 'canceled', 'expired'].map((end) => `task.${end}`),
).strict();
export type WebhookBody = z.output<typeof webhookBody>;

export interface BoundWebhook {
  /** For `/v1/webhook_endpoints/{id}` and its deliveries. */
  id: string;
  url: string;
  events: string[];
  status: 'enabled' | 'disabled';
  signing_secret_hint: string | null;
  /** Only in the answer that made it, and only where it was made here. */
  signing_secret?: string;
}

export interface WebhookEndpointObject {
  id: string;
  object: 'webhook_endpoint';
  created_at: number;
  updated_at: number;
  name: string;
  url: string;
  event_types: string[];
  signing_secret_hint: string | null;
  /** In the answers to create and rotate only. */
  signing_secret?: string;
  millrace: {
    status: 'enabled' | 'disabled';
    disabled_at: number | null;
    disabled_reason: 'gone' | 'failing' | 'request' | null;
    /** Since when every try has failed. */
    failing_since: number | null;
    /** Names of the custom headers. */
    headers: string[];
    metadata_filter: Record<string, string> | null;
    ordered: 'subject' | 'feed' | null;
    rate_limit: number | null;
    /** The batch or task whose events alone it is for. */
    subject: string | null;
    /** Until when the secret before the last rotation signs too. */
    old_secret_until: number | null;
  };
}

export const deliveryStatuses = ['pending', 'succeeded', 'failed'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

export const deliveryListQuery = pageQuery({ max: 100, default: 20 }).extend({
  status: z.enum(deliveryStatuses).optional(),
});
export type DeliveryListQuery = z.output<typeof deliveryListQuery>;

export interface DeliveryObject {
  id: string;
  object: 'webhook_delivery';
  endpoint_id: string;
  /** Also its `webhook-id`, the same on every try and at every endpoint. */
  event_id: string;
  event_type: string;
  subject: string;
  status: DeliveryStatus;
  /** Tries so far. */
  tries: number;
  created_at: number;
  next_try_at: number | null;
  finished_at: number | null;
  /** Why it ended without a last try: `endpoint_disabled`. */
  error_code: string | null;
}

export interface DeliveryAttemptObject {
  object: 'webhook_delivery.attempt';
  number: number;
  started_at: number;
  duration_ms: number;
  /** Header values that were set by the owner are not shown. */
  request: { url: string; headers: Record<string, string>; body: string };
  response: { status: number; headers: Record<string, string>; body: string; body_is_cut: boolean } | null;
  error: { code: string; message: string } | null;
  next_try_at: number | null;
}

export interface DeliveryWithAttempts extends DeliveryObject {
  attempts: DeliveryAttemptObject[];
}

const unixSeconds = z.int().min(0).max(253_402_300_799);

/** Failed deliveries that were created from `since` on. */
export const redeliverFailedBody = z.object({ since: unixSeconds, until: unixSeconds.optional() });
export type RedeliverFailedBody = z.output<typeof redeliverFailedBody>;

/** Events of the feed: from a time on, or after an event. */
export const replayBody = z
  .object({
    since: unixSeconds.optional(),
    until: unixSeconds.optional(),
    after: idSchema('event').optional(),
    event_types: eventPatterns.optional(),
    /** `missing`: those that the endpoint has not got; `all`: those too. */
    include: z.enum(['missing', 'all']).default('missing'),
  })
  .refine(({ since, after }) => since !== undefined || after !== undefined, {
    path: ['since'],
    error: 'say from when on (since), or after which event (after)',
  });
export type ReplayBody = z.output<typeof replayBody>;

export interface ReplayObject {
  object: 'webhook_endpoint.replay';
  /** Deliveries that will be made. */
  count: number;
  /** There are more events: ask again with `after: last_event_id`. */
  has_more: boolean;
  last_event_id: string | null;
  /** What is asked for begins before what the feed still holds. */
  is_truncated: boolean;
}
