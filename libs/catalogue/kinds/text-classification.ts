/** Assigns classes to a text. */
import { z } from 'zod';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { classificationOutput, text, topK } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const textClassification = defineSingleCallKind({
  id: 'text-classification',
  title: 'Text classification',
  modalities: { in: ['text'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({ text, top_k: topK }),
  output: classificationOutput,
  examples: [{ model: 'sandbox/text-classification', input: { text: 'The mill turns well.' } }],
});
