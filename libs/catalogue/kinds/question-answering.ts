/** The answer to a question, taken from a text. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { text, topK } from '../fields.ts';
import { light } from '../limits.ts';

export const questionAnswering = defineTask({
  id: 'question-answering',
  title: 'Question answering',
  modalities: { in: ['text'], out: ['text'] },
  limits: light,
  input: z.object({ question: text, context: text, top_k: topK }),
  output: z.object({
    answers: z.array(z.object({ answer: z.string(), score: z.number(), start: z.int(), end: z.int() })),
  }),
  examples: [
    { model: 'sandbox/question-answering', input: { question: 'What turns?', context: 'The mill turns.' } },
  ],
});
