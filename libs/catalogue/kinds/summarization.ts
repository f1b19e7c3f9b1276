/** Summarizes a text. */
import { z } from 'zod';
import { optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { textGenerationLimits } from '../limits.ts';

export const summarization = defineSingleCallKind({
  id: 'summarization',
  title: 'Summarization',
  modalities: { in: ['text'], out: ['text'] },
  limits: textGenerationLimits,
  input: z.strictObject({
    text,
    min_length: optional(z.int().nonnegative()),
    max_length: optional(z.int().positive()),
  }),
  output: z.object({ summary: z.string() }),
  examples: [
    {
      model: 'sandbox/summarization',
      input: { text: 'The mill stands by the river. The river turns its wheel. The wheel grinds the corn.' },
    },
  ],
});
