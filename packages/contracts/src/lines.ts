/** Lines of a batch's input file, and the errors of lines that did not run. */
import { z } from 'zod';
import { modelName, storedText } from './fields.ts';

/** Maximum length of `custom_id` in characters. OpenAI documents no limit; the unique index needs one. */
export const maxCustomIdLength = 512;

export const batchLine = z.object({
  custom_id: z.string().min(1).max(maxCustomIdLength),
  method: z.literal('POST'),
  url: storedText(1, 256),
  body: z.looseObject({ model: modelName }),
});
export type BatchLine = z.output<typeof batchLine>;

/** Error codes of a line that has no response. */
export type LineErrorCode =
  'batch_expired' | 'batch_cancelled' | 'request_timeout' | 'result_not_stored' | 'worker_crashed';
