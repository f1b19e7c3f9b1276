/** A batch's lines: what comes in, and the records that go to the output and error files. */
import { z } from 'zod';

/** Longest `custom_id`, in characters; OpenAI names no limit, an index entry needs one. */
export const maxCustomIdLength = 512;

export const batchLine = z.object({
  custom_id: z.string().min(1).max(maxCustomIdLength),
  method: z.literal('POST'),
  url: z.string(),
  body: z.looseObject({
    model: z
      .string()
      .max(256)
      .regex(/^[^\0\ud800-\udfff]+$/u),
  }),
});
export type BatchLine = z.output<typeof batchLine>;

/** The `error` of a line that never ran to an answer. */
export type NotRunCode = 'batch_expired' | 'batch_cancelled' | 'request_timeout' | 'worker_crashed';

/** An error as OpenAI's clients read it. */
export interface WireError {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}
