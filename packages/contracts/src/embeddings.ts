/** `/v1/embeddings`, in OpenAI's shape. */
import { z } from 'zod';
import { modelName } from './fields.ts';

const tokens = z.array(z.int().nonnegative()).min(1);

/** Text is passed on unchanged. Blank text has no meaning to embed, so it is refused before a model gets it. */
const text = z.string().refine((value) => value.trim() !== '', 'input text is empty or blank');

/** Maximum numbers in one response: more do not fit into one JavaScript string as JSON. */
const maxNumbers = 2 ** 22;

export const embeddingsInput = z.object({
  input: z.union([text, z.array(text).min(1).max(2_048), tokens, z.array(tokens).min(1).max(2_048)], {
    error: 'input must be a string, an array of strings, or arrays of token ids, none of them empty',
  }),
  encoding_format: z.enum(['float', 'base64']).default('float'),
  dimensions: z.int().positive().max(65_536).optional(),
  /** Millrace's own: the purpose of the texts, for models that have a prompt for each. */
  input_type: z.enum(['query', 'passage']).optional(),
  user: z.string().optional(),
});

export const embeddingsBody = embeddingsInput
  .extend({
    model: modelName,
    metadata: z.record(z.string(), z.string()).nullish(),
  })
  .refine(
    ({ input, dimensions = 1 }) => typeof input === 'string' || input.length * dimensions <= maxNumbers,
    {
      path: ['dimensions'],
      error: `inputs × dimensions is ${maxNumbers} at most`,
    },
  );
export type EmbeddingsBody = z.output<typeof embeddingsBody>;

export const embeddingList = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  millrace: z
    .object({
      /** True if no model computed the vectors (sandbox). */
      simulated: z.literal(true).optional(),
      /** Indexes of inputs that were longer than the model reads, and were cut. */
      truncated: z.array(z.int().nonnegative()).optional(),
    })
    .optional(),
});
export type EmbeddingList = z.output<typeof embeddingList>;
