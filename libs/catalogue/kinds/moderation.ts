/** Classifies harmful text and images by category, as `/v1/moderations`. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { listImageParts } from '../image-parts.ts';
import { classificationLimits } from '../limits.ts';

const moderated = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text }),
  z.object({ type: z.literal('image_url'), image_url: z.object({ url: z.string().min(1) }) }),
]);

export const moderation = defineSingleCallKind({
  id: 'moderation',
  title: 'Moderation',
  modalities: { in: ['text', 'image'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({
    input: z.union([text, z.array(text).min(1).max(1_024), z.array(moderated).min(1).max(64)], {
      error: ({ input }) =>
        input === undefined
          ? 'it is required'
          : 'it must be a text, a list of texts, or a list of text and image_url parts, none of them blank',
    }),
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
  listMediaFields: ({ input }) => listImageParts('input', input),
  toResponse: ({ id = `modr-${randomUUID()}`, results }, { model }) => ({ id, model, results }),
  examples: [{ model: 'sandbox/moderation', input: { input: 'The mill turns.' } }],
});
