/** Fields that webhook endpoints and the webhooks of single batches and tasks share. */
import { z } from 'zod';
import { eventTypes } from './events.ts';
import { storedText } from './fields.ts';

/** Types that can be subscribed to although Millrace does not send them yet: stock clients list them with the others. */
const reservedTypes = ['completed', 'failed', 'cancelled', 'incomplete'].map(
  (status) => `response.${status}`,
);

/** The types that Millrace sends, as `GET /v1/webhook_event_types` lists them. */
export const webhookEventTypes: readonly string[] = eventTypes;
export const subscribableTypes = [...new Set([...eventTypes, ...reservedTypes])];

/** `*`, `batch.*`, or one type. */
const isPattern = (text: string) =>
  text === '*' ||
  (text.endsWith('.*')
    ? subscribableTypes.some((type) => type.startsWith(text.slice(0, -1)))
    : subscribableTypes.includes(text));

export function matchesEventType(pattern: string, type: string): boolean {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

export const eventPatterns = z
  .array(
    z.string().refine(isPattern, {
      error: `it must be *, one of ${subscribableTypes.join(', ')}, or a prefix of them followed by .*`,
    }),
  )
  .min(1)
  .max(64)
  .transform((patterns) => [...new Set(patterns)]);

export const webhookUrl = storedText(1, 2_048);

const secretPattern = /^whsec_([A-Za-z0-9+/]{32,88})={0,2}$/;
const secretRule = 'it must be whsec_ followed by 24 to 64 bytes in base64';

/** Standard Webhooks: `whsec_` followed by 24 to 64 bytes in base64. */
export const signingSecret = z
  .string()
  .regex(secretPattern, secretRule)
  .refine((secret) => {
    // Four base64 characters hold three bytes.
    const [, base64 = ''] = secretPattern.exec(secret) ?? [];
    const bytes = Math.floor((base64.length * 3) / 4);
    return bytes >= 24 && bytes <= 64;
  }, secretRule);

export const webhookStatuses = ['enabled', 'disabled'] as const;
