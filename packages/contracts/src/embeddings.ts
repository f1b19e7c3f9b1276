/** `/v1/embeddings`, as OpenAI's clients send and read it. */
import { z } from 'zod';

const tokens = z.array(z.int().nonnegative()).min(1);

/** Text is passed on as it came; blank text has no meaning to embed and is refused before a model sees it. */
const text = z.string().refine((value) => value.trim() !== '', 'input text is empty or blank');

/** Numbers in one answer: more would not fit into one JSON text. */
const maxNumbers = 2 ** 22;

export const embeddingsInput = z.object({
  input: z.union([text, z.array(text).min(1).max(2_048), tokens, z.array(tokens).min(1).max(2_048)], {
    error: 'input must be a string, an array of strings, or arrays of token ids, none of them empty',
  }),
  encoding_format: z.enum(['float', 'base64']).default('float'),
  dimensions: z.int().positive().max(65_536).optional(),
  /** Ours: what the texts are for, where the model has a prompt for it. */
  input_type: z.enum(['query', 'passage']).optional(),
  user: z.string().optional(),
});

export const embeddingsBody = embeddingsInput
  .extend({
    model: z.string().min(1).max(256),
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
