/** Assigns the request's own labels to a text. */
import { z } from 'zod';
import { optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { classificationOutput, text, texts } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const zeroShotClassification = defineSingleCallKind({
  id: 'zero-shot-classification',
  title: 'Zero-shot classification',
  modalities: { in: ['text'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({
    text,
    candidate_labels: texts,
    multi_label: optional(z.boolean()),
    hypothesis_template: optional(storedText()),
  }),
  output: classificationOutput,
  examples: [
    {
      model: 'sandbox/zero-shot-classification',
      input: { text: 'The mill turns.', candidate_labels: ['machines', 'weather'] },
    },
  ],
});
