/** A text made short. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { text } from '../fields.ts';
import { generation } from '../limits.ts';

export const summarization = defineTask({
  id: 'summarization',
  title: 'Summarization',
  modalities: { in: ['text'], out: ['text'] },
  limits: generation,
  input: z.object({
    text,
    min_length: z.int().nonnegative().optional(),
    max_length: z.int().positive().optional(),
  }),
  output: z.object({ summary: z.string() }),
  examples: [
    {
      model: 'sandbox/summarization',
      input: { text: 'The mill stands by the river. The river turns its wheel. The wheel grinds the corn.' },
    },
  ],
});
