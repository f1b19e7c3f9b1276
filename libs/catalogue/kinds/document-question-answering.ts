/** The answer to a question about a page, as a picture of it. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { text, topK } from '../fields.ts';
import { light } from '../limits.ts';
import { imageRule } from '../media.ts';

export const documentQuestionAnswering = defineTask({
  id: 'document-question-answering',
  title: 'Document question answering',
  modalities: { in: ['image', 'text'], out: ['text'] },
  limits: light,
  input: z.object({ image: mediaSource, question: text, top_k: topK, language: z.string().optional() }),
  output: z.object({
    answers: z.array(
      z.object({
        answer: z.string(),
        score: z.number().optional(),
        start: z.int().optional(),
        end: z.int().optional(),
      }),
    ),
  }),
  media: { image: imageRule },
  examples: [
    {
      model: 'sandbox/document-question-answering',
      input: { image: exampleImage, question: 'Whose mill is it?' },
    },
  ],
});
