/** Batches, in OpenAI's shape, with Millrace's own fields under `millrace`. Times are Unix seconds. */
import { z } from 'zod';
import { batchErrorList } from './errors.ts';
import {
  integer,
  metadataSchema,
  optional,
  queryInteger,
  storedText,
  timestamp,
  withDefault,
} from './fields.ts';
import { expiresAfter } from './files.ts';
import { idSchema } from './ids.ts';
import { batchLine } from './lines.ts';
import { pageQuery } from './pages.ts';
import { batchWebhookBody, subjectWebhook } from './subject-webhooks.ts';

export const batchStatuses = [
  'validating',
  'in_progress',
  'finalizing',
  'completed',
  'failed',
  'expired',
  'cancelling',
  'cancelled',
] as const;
export type BatchStatus = (typeof batchStatuses)[number];

/** `24h`, or any whole number of hours or days from `1h` to `7d`. */
export const completionWindow = z
  .string()
  .regex(/^\d{1,3}[hd]$/, 'it must be written like 24h or 7d')
  .refine((text) => {
    const seconds = parseCompletionWindow(text);
    return seconds >= 3_600 && seconds <= 7 * 86_400;
  }, 'it must be from 1h to 7d');

/** @returns the length of a completion window in seconds. */
export function parseCompletionWindow(text: string): number {
  return Number(text.slice(0, -1)) * (text.endsWith('d') ? 86_400 : 3_600);
}

/** A line given in the request itself. Its url defaults to the batch's endpoint. */
const inlineRequest = batchLine.extend({
  method: withDefault(batchLine.shape.method, 'POST'),
  url: optional(batchLine.shape.url),
});

/** Formats of the output and error files. Concatenated gzip members are one valid gzip file. */
export const outputFormats = ['jsonl', 'jsonl.gz'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** Priority among the batches of a workspace: 0 is the highest, -100 the lowest. */
const batchPriority = integer(-100, 0);

const batchFields = z.strictObject({
  input_file_id: optional(storedText(0, 256)),
  requests: optional(z.array(inlineRequest).min(1)),
  endpoint: storedText(1, 256),
  completion_window: completionWindow,
  metadata: optional(metadataSchema),
  output_expires_after: optional(expiresAfter('created_at')),
  webhook: optional(batchWebhookBody),
  output_format: optional(z.enum(outputFormats)),
  priority: optional(batchPriority),
});
export const createBatchBody = batchFields
  .refine(({ input_file_id, requests }) => input_file_id !== undefined || requests !== undefined, {
    path: ['input_file_id'],
    error: 'it is required, or give the lines in requests',
  })
  .refine(({ input_file_id, requests }) => input_file_id === undefined || requests === undefined, {
    path: ['requests'],
    error: 'it cannot be given together with input_file_id',
  });
export const createBatchQuery = z.object({ validate: optional(z.enum(['strict'])) });
export type CreateBatchQuery = z.output<typeof createBatchQuery>;
export type CreateBatchBody = z.output<typeof createBatchBody>;

/** The fields of a batch that can be changed after its creation. */
export const updateBatchBody = z.strictObject({ priority: batchPriority });
export type UpdateBatchBody = z.output<typeof updateBatchBody>;

/** Without `webhook`, the retry has the webhook of the batch that it retries; with null, none. */
export const retryBatchBody = optional(z.strictObject({ webhook: batchWebhookBody.nullish() }));
export type RetryBatchBody = z.output<typeof retryBatchBody>;

const chunkCount = queryInteger(0, 2 ** 31 - 1);

/** `after`: the number of chunks already read, in completion order. */
export const resultsQuery = z.object({ after: withDefault(chunkCount, 0) });
export type ResultsQuery = z.output<typeof resultsQuery>;

/** Chunks are paged by index, which is the order of the input's lines. */
export const chunkListQuery = z.object({
  after: optional(chunkCount),
  limit: withDefault(queryInteger(1, 1_000), 100),
});
export type ChunkListQuery = z.output<typeof chunkListQuery>;

export const batchListQuery = pageQuery({ max: 100, default: 20 });

const count = z.int().nonnegative();

export const chunkStatuses = ['pending', 'queued', 'running', 'done'] as const;

export const chunkObject = z.object({
  /** The index as text; `after` and the stock client page by it. */
  id: z.string(),
  object: z.literal('batch.chunk'),
  index: count,
  status: z.enum(chunkStatuses),
  /** Line of the input file, 1-based. */
  first_line: z.int().positive(),
  lines: z.int().positive(),
  /** Number of attempts started. */
  attempt: count,
  /** All 0 until the chunk is done. */
  request_counts: z.object({ completed: count, failed: count, canceled: count, expired: count }),
  /** Start of the latest attempt. */
  started_at: timestamp.nullable(),
  finished_at: timestamp.nullable(),
});
export type ChunkObject = z.output<typeof chunkObject>;

export const batchUsage = z.object({
  input_tokens: count,
  input_tokens_details: z.object({ cached_tokens: count }),
  output_tokens: count,
  output_tokens_details: z.object({ reasoning_tokens: count }),
  total_tokens: count,
});
export type BatchUsage = z.output<typeof batchUsage>;

export const batchObject = z.object({
  id: idSchema('batch'),
  object: z.literal('batch'),
  endpoint: z.string(),
  model: z.string().nullable(),
  errors: batchErrorList.nullable(),
  input_file_id: idSchema('file'),
  completion_window: z.string(),
  status: z.enum(batchStatuses),
  output_file_id: idSchema('file').nullable(),
  error_file_id: idSchema('file').nullable(),
  created_at: timestamp,
  in_progress_at: timestamp.nullable(),
  expires_at: timestamp,
  finalizing_at: timestamp.nullable(),
  completed_at: timestamp.nullable(),
  failed_at: timestamp.nullable(),
  expired_at: timestamp.nullable(),
  cancelling_at: timestamp.nullable(),
  cancelled_at: timestamp.nullable(),
  request_counts: z.object({ total: count, completed: count, failed: count }),
  usage: batchUsage,
  metadata: z.record(z.string(), z.string()).nullable(),
  millrace: z.object({
    /** Share of the lines that have a record, 0 to 1. */
    progress: z.number().min(0).max(1),
    lines_per_second: z.number().nonnegative().nullable(),
    eta_seconds: count.nullable(),
    /** While true, running chunks finish and no other chunk starts. */
    paused: z.boolean(),
    /** Code of the reason if Millrace paused the batch: `insufficient_quota`, `provider_token_invalid`. */
    pause_reason: z.string().nullable(),
    priority: batchPriority,
    /** The batch whose failed lines this one runs again. */
    retry_of: idSchema('batch').nullable(),
    /** The batch's own webhook, if it was created with one. */
    webhook: subjectWebhook.nullable(),
    output_format: z.enum(outputFormats),
    /** Lines recorded as not run, because the batch was cancelled or expired first. */
    canceled_count: count,
    expired_count: count,
  }),
});
export type BatchObject = z.output<typeof batchObject>;
