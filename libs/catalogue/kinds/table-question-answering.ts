/** Answers a question about a table. */
import { z } from 'zod';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

/** Gives all columns the length of the longest: a spreadsheet leaves out the empty cells at a column's end. */
function fillColumns(table: Record<string, string[]>): Record<string, string[]> {
  const length = Math.max(...Object.values(table).map((cells) => cells.length));
  return Object.fromEntries(
    Object.entries(table).map(([name, cells]) => [
      name,
      [...cells, ...Array<string>(length - cells.length).fill('')],
    ]),
  );
}

export const tableQuestionAnswering = defineSingleCallKind({
  id: 'table-question-answering',
  title: 'Table question answering',
  modalities: { in: ['table', 'text'], out: ['text'] },
  limits: classificationLimits,
  input: z.strictObject({
    question: text,
    table: z
      .record(z.string(), z.array(z.string()))
      .refine((columns) => Object.keys(columns).length > 0, 'it has no columns')
      .meta({ minProperties: 1 })
      .transform(fillColumns),
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
