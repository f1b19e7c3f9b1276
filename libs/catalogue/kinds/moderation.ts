/** Whether a text or picture does harm, by category, as `/v1/moderations`. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { text } from '../fields.ts';
import { imageParts } from '../image-parts.ts';
import { light } from '../limits.ts';

const moderated = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text }),
  z.object({ type: z.literal('image_url'), image_url: z.object({ url: z.string().min(1) }) }),
]);

export const moderation = defineTask({
  id: 'moderation',
  title: 'Moderation',
  modalities: { in: ['text', 'image'], out: ['labels'] },
  endpoint: '/v1/moderations',
  limits: light,
  input: z.object({
    input: z.union([text, z.array(text).min(1).max(1_024), z.array(moderated).min(1).max(64)]),
  }),
  output: z.object({
    id: z.string().optional(),
    results: z
      .array(
        z.object({
          flagged: z.boolean(),
          categories: z.record(z.string(), z.boolean()),
          category_scores: z.record(z.string(), z.number()),
        }),
      )
      .min(1),
  }),
  slots: ({ input }) => imageParts('input', input),
  wire: ({ id = `modr-${randomUUID()}`, results }, { model }) => ({ id, model, results }),
  examples: [{ model: 'sandbox/moderation', input: { input: 'The mill turns.' } }],
});
