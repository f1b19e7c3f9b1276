/** `/v1/embeddings`, in OpenAI's shape. */
import { z } from 'zod';
import { integer, metadataSchema, modelName, optional, storedText, withDefault } from './fields.ts';

const tokens = z.array(z.int().nonnegative()).min(1);

/** Text is passed on unchanged. Blank text has no meaning to embed, so it is refused before a model gets it. */
const text = z.string().regex(/\S/, 'a text is empty or blank');

/** Maximum numbers in one response: more do not fit into one JavaScript string as JSON. */
const maxNumbers = 2 ** 22;

/** Options of the model itself, passed on as they are. The model's page names them. */
export const providerOptions = optional(z.record(z.string(), z.unknown()));

export const embeddingsInput = z.strictObject({
  input: z.union([text, z.array(text).min(1).max(2_048), tokens, z.array(tokens).min(1).max(2_048)], {
    error: ({ input }) =>
      input === undefined
        ? 'it is required'
        : 'it must be a string, a list of strings, or lists of token ids, none of them empty or blank',
  }),
  encoding_format: withDefault(z.enum(['float', 'base64']), 'float'),
  dimensions: optional(integer(1, 65_536)),
  /** Millrace's own: the purpose of the texts, for models that have a prompt for each. */
  input_type: optional(z.enum(['query', 'passage'])),
  user: optional(storedText(0, 512)),
  provider: providerOptions,
});

const countInputs = (input: z.output<typeof embeddingsInput>['input']) =>
  typeof input === 'string' || typeof input[0] === 'number' ? 1 : input.length;

export const embeddingsBody = embeddingsInput
  .extend({
    model: modelName,
    metadata: optional(metadataSchema),
  })
  .refine(({ input, dimensions = 1 }) => countInputs(input) * dimensions <= maxNumbers, {
    path: ['dimensions'],
    error: `inputs × dimensions must be at most ${maxNumbers.toLocaleString('en')}`,
  });
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
