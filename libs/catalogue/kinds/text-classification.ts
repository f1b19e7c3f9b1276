/** Which classes a text belongs to. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { classes, text, topK } from '../fields.ts';
import { light } from '../limits.ts';

export const textClassification = defineTask({
  id: 'text-classification',
  title: 'Text classification',
  modalities: { in: ['text'], out: ['labels'] },
  limits: light,
  input: z.object({ text, top_k: topK }),
  output: classes,
  examples: [{ model: 'sandbox/text-classification', input: { text: 'The mill turns well.' } }],
});
