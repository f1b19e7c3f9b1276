/** Answers a question with a span of a given text. */
import { z } from 'zod';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text, topK } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const questionAnswering = defineSingleCallKind({
  id: 'question-answering',
  title: 'Question answering',
  modalities: { in: ['text'], out: ['text'] },
  limits: classificationLimits,
  input: z.strictObject({ question: text, context: text, top_k: topK }),
  output: z.object({
    answers: z.array(z.object({ answer: z.string(), score: z.number(), start: z.int(), end: z.int() })),
  }),
  examples: [
    { model: 'sandbox/question-answering', input: { question: 'What turns?', context: 'The mill turns.' } },
  ],
});
