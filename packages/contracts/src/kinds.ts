/** The kinds of task, with their JSON Schemas and an example of each. */
import { z } from 'zod';
import { listSchema } from './pages.ts';

const jsonSchema = z.looseObject({});

export const kindObject = z.object({
  object: z.literal('kind'),
  id: z.string(),
  name: z.string(),
  modalities: z.object({ in: z.array(z.string()).readonly(), out: z.array(z.string()).readonly() }),
  /** The path of OpenAI's API whose body has the fields of this kind. Null: no path has. */
  endpoint: z.string().nullable(),
  input_schema: jsonSchema,
  output_schema: jsonSchema,
  /** Whether the answer can be streamed. */
  streams: z.boolean(),
  /** Default time limit of one provider call, in seconds. */
  timeout_seconds: z.number().positive(),
  max_timeout_seconds: z.number().positive(),
  /** Requests that run as they are, on the sandbox. */
  examples: z.array(
    z.object({
      model: z.string(),
      input: z.record(z.string(), z.unknown()),
      options: z.record(z.string(), z.unknown()),
    }),
  ),
});
export type KindObject = z.output<typeof kindObject>;

export const kindList = listSchema(kindObject);
export type KindList = z.output<typeof kindList>;
