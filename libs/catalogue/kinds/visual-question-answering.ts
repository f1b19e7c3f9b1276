/** Answers a question about an image. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { text, topK } from '../fields.ts';
import { classificationLimits } from '../limits.ts';
import { downscaledImageRule } from '../media.ts';

export const visualQuestionAnswering = defineSingleCallKind({
  id: 'visual-question-answering',
  title: 'Visual question answering',
  modalities: { in: ['image', 'text'], out: ['text'] },
  limits: classificationLimits,
  input: z.strictObject({ image: mediaSource, question: text, top_k: topK }),
  output: z.object({ answers: z.array(z.object({ answer: z.string(), score: z.number().optional() })) }),
  media: { image: downscaledImageRule },
  examples: [
    { model: 'sandbox/visual-question-answering', input: { image: exampleImage, question: 'What turns?' } },
  ],
});
