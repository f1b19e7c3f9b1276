/** Words for the gap in a text. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { text, topK } from '../fields.ts';
import { light } from '../limits.ts';

export const fillMask = defineTask({
  id: 'fill-mask',
  title: 'Fill the mask',
  modalities: { in: ['text'], out: ['labels'] },
  limits: light,
  input: z.object({ text, top_k: topK, targets: z.array(z.string()).optional() }),
  output: z.object({
    fills: z.array(z.object({ token: z.string(), score: z.number(), sequence: z.string() })),
  }),
  examples: [{ model: 'sandbox/fill-mask', input: { text: 'The mill [MASK].' } }],
});
