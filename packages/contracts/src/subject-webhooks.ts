/** The webhook of one batch or task: it receives the events of that subject only, and no list shows it. */
import { z } from 'zod';
import { optional, withDefault } from './fields.ts';
import { idSchema } from './ids.ts';
import { eventPatterns, signingSecret, webhookStatuses, webhookUrl } from './webhook-fields.ts';

/** @param defaultEvents what is sent if the request does not name `events`: the ends, and what the owner must act on. */
const buildSubjectWebhookBody = (defaultEvents: string[]) =>
  z.strictObject({
    url: webhookUrl,
    events: withDefault(eventPatterns, defaultEvents),
    /** Signs the deliveries. Without one, Millrace creates a secret and shows it once. */
    secret: optional(signingSecret),
  });
export const batchWebhookBody = buildSubjectWebhookBody(
  ['completed', 'failed', 'expired', 'cancelled', 'paused'].map((status) => `batch.${status}`),
);
export const taskWebhookBody = buildSubjectWebhookBody(
  ['succeeded', 'failed', 'canceled', 'expired'].map((status) => `task.${status}`),
);
export type SubjectWebhookBody = z.output<typeof batchWebhookBody>;

export const subjectWebhook = z.object({
  /** For `/v1/webhook_endpoints/{id}` and its deliveries. */
  id: idSchema('webhookEndpoint'),
  url: z.string(),
  events: z.array(z.string()),
  status: z.enum(webhookStatuses),
  signing_secret_hint: z.string().nullable(),
  /** Only in the response that created it, and only if Millrace created the secret. */
  signing_secret: z.string().optional(),
});
export type SubjectWebhook = z.output<typeof subjectWebhook>;
