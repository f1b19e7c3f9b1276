/** Translates a text. */
import { z } from 'zod';
import { optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { textGenerationLimits } from '../limits.ts';

export const translation = defineSingleCallKind({
  id: 'translation',
  title: 'Translation',
  modalities: { in: ['text'], out: ['text'] },
  limits: textGenerationLimits,
  input: z.strictObject({
    text,
    source_language: optional(storedText()),
    target_language: optional(storedText()),
  }),
  output: z.object({ translation: z.string() }),
  examples: [
    {
      model: 'sandbox/translation',
      input: { text: 'The mill turns.' },
      options: { source_language: 'en', target_language: 'fr' },
    },
  ],
});
