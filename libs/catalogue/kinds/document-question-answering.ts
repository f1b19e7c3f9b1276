/** Answers a question about an image of a document page. */
import { z } from 'zod';
import { mediaSource, optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { text, topK } from '../fields.ts';
import { classificationLimits } from '../limits.ts';
import { imageRule } from '../media.ts';

export const documentQuestionAnswering = defineSingleCallKind({
  id: 'document-question-answering',
  title: 'Document question answering',
  modalities: { in: ['image', 'text'], out: ['text'] },
  limits: classificationLimits,
  input: z.strictObject({
    image: mediaSource,
    question: text,
    top_k: topK,
    language: optional(storedText()),
  }),
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
