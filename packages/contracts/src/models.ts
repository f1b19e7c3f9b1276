/** Models, in OpenAI's shape, with what Millrace knows of them under `millrace`. */
import { z } from 'zod';
import { modelName } from './fields.ts';
import { listSchema } from './pages.ts';
import { hostedModelState } from './workers.ts';

export const modelObject = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.literal(0),
  owned_by: z.string(),
  millrace: z.object({
    /** `available`: a hosted provider runs it. `unloaded`: no worker has it in memory; a request loads it. */
    status: z.enum(['available', 'loading', 'ready', 'failed', 'unloaded']),
    /** True if it was loaded with `POST /v1/models/load`: workers load it when they start. */
    is_desired: z.boolean(),
    /** Workers that have it in memory. */
    workers: z.array(hostedModelState.omit({ model: true }).extend({ worker: z.string() })),
  }),
});
export type ModelObject = z.output<typeof modelObject>;

export const modelList = listSchema(modelObject);
export type ModelList = z.output<typeof modelList>;

/** The body of `POST /v1/models/load` and `/v1/models/unload`. */
export const hostedModelBody = z.strictObject({ model: modelName });
