/** The answer to a question about a picture. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { text, topK } from '../fields.ts';
import { light } from '../limits.ts';
import { seenImage } from '../media.ts';

export const visualQuestionAnswering = defineTask({
  id: 'visual-question-answering',
  title: 'Visual question answering',
  modalities: { in: ['image', 'text'], out: ['text'] },
  limits: light,
  input: z.object({ image: mediaSource, question: text, top_k: topK }),
  output: z.object({ answers: z.array(z.object({ answer: z.string(), score: z.number().optional() })) }),
  media: { image: seenImage },
  examples: [
    { model: 'sandbox/visual-question-answering', input: { image: exampleImage, question: 'What turns?' } },
  ],
});
