/** Answers a question about a table. */
import { z } from 'zod';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const tableQuestionAnswering = defineSingleCallKind({
  id: 'table-question-answering',
  title: 'Table question answering',
  modalities: { in: ['table', 'text'], out: ['text'] },
  limits: classificationLimits,
  input: z.object({
    question: text,
    table: z
      .record(z.string(), z.array(z.string()))
      .refine(
        (table) => new Set(Object.values(table).map(({ length }) => length)).size === 1,
        'all columns of a table must have the same length',
      ),
  }),
  output: z.object({
    answer: z.string(),
    cells: z.array(z.string()).optional(),
    coordinates: z.array(z.array(z.int())).optional(),
    aggregator: z.string().optional(),
  }),
  examples: [
    {
      model: 'sandbox/table-question-answering',
      input: { question: 'How old is the mill?', table: { thing: ['mill', 'bridge'], age: ['300', '200'] } },
    },
  ],
});
