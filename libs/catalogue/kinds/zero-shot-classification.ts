/** Which of the labels given a text belongs to. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { classes, text, texts } from '../fields.ts';
import { light } from '../limits.ts';

export const zeroShotClassification = defineTask({
  id: 'zero-shot-classification',
  title: 'Zero-shot classification',
  modalities: { in: ['text'], out: ['labels'] },
  limits: light,
  input: z.object({
    text,
    candidate_labels: texts,
    multi_label: z.boolean().optional(),
    hypothesis_template: z.string().optional(),
  }),
  output: classes,
  examples: [
    {
      model: 'sandbox/zero-shot-classification',
      input: { text: 'The mill turns.', candidate_labels: ['machines', 'weather'] },
    },
  ],
});
