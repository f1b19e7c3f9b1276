/** Ranks documents by their relevance to a query, best first. */
import { z } from 'zod';
import { optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const reranking = defineSingleCallKind({
  id: 'reranking',
  title: 'Reranking',
  modalities: { in: ['text'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({
    query: text,
    documents: z.array(text).min(1).max(10_000),
    top_n: optional(z.int().positive()),
    return_documents: optional(z.boolean()),
  }),
  output: z.object({
    results: z.array(
      z.object({
        index: z.int().nonnegative(),
        relevance_score: z.number(),
        document: z.string().optional(),
      }),
    ),
  }),
  examples: [
    {
      model: 'sandbox/reranking',
      input: { query: 'What turns?', documents: ['The mill turns.', 'It rains.'] },
    },
  ],
});
