/** Webhook endpoints, as the `openai` package (7.19 and later) manages them. */
import { z } from 'zod';
import { integer, metadataSchema, optional, storedText, timestamp, withDefault } from './fields.ts';
import { idSchema } from './ids.ts';
import { deletedSchema, listSchema, pageQuery } from './pages.ts';
import { eventPatterns, subscribableTypes, webhookStatuses, webhookUrl } from './webhook-fields.ts';

/** Headers that a custom header must not replace: they frame the request or carry its signature. */
const reservedHeaders =
  /^(host|connection|content-(length|type|encoding)|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*|accept-encoding|user-agent|webhook-.*|svix-.*)$/;

const customHeaders = z
  .record(
    z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'it must have 1 to 64 characters of RFC 9110'),
    z.string().regex(/^[\x20-\x7e]{0,1024}$/, 'it must have at most 1,024 printable ASCII characters'),
  )
  .refine((headers) => Object.keys(headers).length <= 20, 'it has more than 20 headers')
  .refine(
    (headers) => !Object.keys(headers).some((name) => reservedHeaders.test(name.toLowerCase())),
    'it has a header that frames the request or carries its signature; remove it',
  );

const webhookEndpointFields = z.strictObject({
  name: z.string().trim().pipe(storedText(1, 256)),
  url: webhookUrl,
  event_types: eventPatterns,
  /** Sent with each delivery. Values are stored encrypted and never shown. */
  headers: customHeaders.nullish(),
  /** Sends only events of batches and tasks whose metadata has all of these pairs. */
  metadata_filter: metadataSchema.nullish(),
  /** One delivery at a time: for each subject, or for the whole feed. */
  ordered: z.enum(['subject', 'feed']).nullish(),
  /** Maximum deliveries per second. */
  rate_limit: integer(1, 10_000).nullish(),
});

export const createWebhookEndpointBody = webhookEndpointFields;
export type CreateWebhookEndpointBody = z.output<typeof createWebhookEndpointBody>;

/** Omitted fields stay, null clears. `disabled: false` enables the webhook endpoint again. */
export const updateWebhookEndpointBody = optional(
  webhookEndpointFields.extend({
    name: optional(webhookEndpointFields.shape.name),
    url: optional(webhookUrl),
    event_types: optional(eventPatterns),
    disabled: optional(z.boolean()),
  }),
);
export type UpdateWebhookEndpointBody = NonNullable<z.output<typeof updateWebhookEndpointBody>>;

export const rotateSecretBody = optional(
  z.strictObject({ keep_old_secret_active_for_24_hours: withDefault(z.boolean(), false) }),
);
export type RotateSecretBody = z.output<typeof rotateSecretBody>;

export const testWebhookEndpointBody = z.strictObject({
  event_type: z.string().refine((type) => subscribableTypes.includes(type), {
    error: `it must be one of ${subscribableTypes.join(', ')}`,
  }),
});
export type TestWebhookEndpointBody = z.output<typeof testWebhookEndpointBody>;

export const webhookEndpointListQuery = pageQuery({ max: 100, default: 20 });

export const webhookEndpointObject = z.object({
  id: idSchema('webhookEndpoint'),
  object: z.literal('webhook_endpoint'),
  created_at: timestamp,
  updated_at: timestamp,
  name: z.string(),
  url: z.string(),
  event_types: z.array(z.string()),
  signing_secret_hint: z.string().nullable(),
  /** Only in the responses to create and rotate. */
  signing_secret: z.string().optional(),
  millrace: z.object({
    status: z.enum(webhookStatuses),
    disabled_at: timestamp.nullable(),
    disabled_reason: z.enum(['gone', 'failing', 'request']).nullable(),
    /** Time of the first failure since the last success. */
    failing_since: timestamp.nullable(),
    /** Names of the custom headers. */
    headers: z.array(z.string()),
    metadata_filter: z.record(z.string(), z.string()).nullable(),
    ordered: z.enum(['subject', 'feed']).nullable(),
    rate_limit: z.int().positive().nullable(),
    /** The batch or task that this webhook belongs to; null for a webhook endpoint of the workspace. */
    subject: z.string().nullable(),
    /** Until then, deliveries are also signed with the secret from before the last rotation. */
    old_secret_expires_at: timestamp.nullable(),
  }),
});
export type WebhookEndpointObject = z.output<typeof webhookEndpointObject>;

export const webhookEndpointDeleted = deletedSchema(idSchema('webhookEndpoint'), 'webhook_endpoint.deleted');
export type WebhookEndpointDeleted = z.output<typeof webhookEndpointDeleted>;

export const webhookEndpointTest = z.object({
  object: z.literal('webhook_endpoint.test'),
  webhook_endpoint_id: idSchema('webhookEndpoint'),
  event_type: z.string(),
  /** HTTP status that the receiver answered. */
  status_code: z.int(),
  success: z.literal(true),
});
export type WebhookEndpointTest = z.output<typeof webhookEndpointTest>;

export const webhookEventTypeList = listSchema(z.string());
export type WebhookEventTypeList = z.output<typeof webhookEventTypeList>;
