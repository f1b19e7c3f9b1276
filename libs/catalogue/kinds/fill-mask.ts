/** Predicts the masked word of a text. */
import { z } from 'zod';
import { optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text, topK } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const fillMask = defineSingleCallKind({
  id: 'fill-mask',
  title: 'Fill the mask',
  modalities: { in: ['text'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({ text, top_k: topK, targets: optional(z.array(storedText())) }),
  output: z.object({
    fills: z.array(z.object({ token: z.string(), score: z.number(), sequence: z.string() })),
  }),
  examples: [{ model: 'sandbox/fill-mask', input: { text: 'The mill [MASK].' } }],
});
