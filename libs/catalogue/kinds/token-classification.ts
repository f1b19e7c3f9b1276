/** The names and parts of speech in a text, by where they stand. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { text } from '../fields.ts';
import { light } from '../limits.ts';

export const tokenClassification = defineTask({
  id: 'token-classification',
  title: 'Token classification',
  modalities: { in: ['text'], out: ['labels'] },
  limits: light,
  input: z.object({
    text,
    aggregation_strategy: z.enum(['none', 'simple', 'first', 'average', 'max']).optional(),
    ignore_labels: z.array(z.string()).optional(),
  }),
  output: z.object({
    entities: z.array(
      z.object({ label: z.string(), score: z.number(), word: z.string(), start: z.int(), end: z.int() }),
    ),
  }),
  examples: [{ model: 'sandbox/token-classification', input: { text: 'Ada lives by the Thames.' } }],
});
