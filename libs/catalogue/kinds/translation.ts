/** A text in another language. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { text } from '../fields.ts';
import { generation } from '../limits.ts';

export const translation = defineTask({
  id: 'translation',
  title: 'Translation',
  modalities: { in: ['text'], out: ['text'] },
  limits: generation,
  input: z.object({ text, source_language: z.string().optional(), target_language: z.string().optional() }),
  output: z.object({ translation: z.string() }),
  examples: [
    {
      model: 'sandbox/translation',
      input: { text: 'The mill turns.' },
      options: { source_language: 'en', target_language: 'fr' },
    },
  ],
});
