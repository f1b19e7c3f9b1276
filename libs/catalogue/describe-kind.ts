/** A kind's JSON Schemas, as `GET /v1/kinds` shows them. A value fits `input` exactly if the server accepts it. */
import { z } from 'zod';
import type { Kind } from './kind.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

export interface KindSchemas {
  /** Of `input` and `options` together. */
  readonly input: JsonSchema;
  readonly output: JsonSchema;
}

export function buildKindSchemas({ input, output }: Pick<Kind, 'input' | 'output'>): KindSchemas {
  const outputSchema = z.toJSONSchema(output, { io: 'input' });
  return {
    input: z.toJSONSchema(input, { io: 'input' }),
    output: {
      ...outputSchema,
      properties: {
        ...outputSchema.properties,
        millrace: {
          type: 'object',
          properties: {
            simulated: { const: true, description: 'No model computed the output (sandbox).' },
            truncated: {
              type: 'array',
              items: { type: 'integer', minimum: 0 },
              description: 'Indexes of inputs that were cut to the length that the model reads.',
            },
          },
        },
      },
    },
  };
}
