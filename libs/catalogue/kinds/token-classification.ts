/** Finds entities, e.g. names or parts of speech, with their positions in the text. */
import { z } from 'zod';
import { optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const tokenClassification = defineSingleCallKind({
  id: 'token-classification',
  title: 'Token classification',
  modalities: { in: ['text'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({
    text,
    aggregation_strategy: optional(z.enum(['none', 'simple', 'first', 'average', 'max'])),
    ignore_labels: optional(z.array(storedText())),
  }),
  output: z.object({
    entities: z.array(
      z.object({ label: z.string(), score: z.number(), word: z.string(), start: z.int(), end: z.int() }),
    ),
  }),
  examples: [{ model: 'sandbox/token-classification', input: { text: 'Ada lives by the Thames.' } }],
});
