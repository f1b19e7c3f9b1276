/** Batches on the wire, in OpenAI's shape, with Millrace's own fields under one key. Times are Unix seconds. */
import { z } from 'zod';
import { expiresAfter } from './files.ts';
import { batchLine, type WireError } from './lines.ts';
import { pageQuery } from './pages.ts';
import { webhookBody, type BoundWebhook } from './webhooks.ts';

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

/** Text that any database and any UTF-8 can hold. */
const isStorable = (text: string) => text.isWellFormed() && !text.includes('\0');

/** OpenAI's limits for metadata: 16 pairs, keys of 64 characters, values of 512. */
export const metadataSchema = z
  .record(z.string(), z.string().max(512, 'a value of metadata has 512 characters at most'))
  .refine((pairs) => Object.keys(pairs).length <= 16, 'metadata holds 16 pairs at most')
  .refine(
    (pairs) => Object.keys(pairs).every((key) => key.length <= 64),
    'a key of metadata has 64 characters at most',
  )
  .refine(
    (pairs) => Object.entries(pairs).flat().every(isStorable),
    'metadata holds text without NUL characters and lone surrogates',
  );

/** `24h` and any whole number of hours or days from `1h` to `7d`. */
export const completionWindow = z
  .string()
  .regex(/^\d{1,3}[hd]$/, 'a completion window is written like 24h or 7d')
  .refine((text) => {
    const seconds = windowSeconds(text);
    return seconds >= 3_600 && seconds <= 7 * 86_400;
  }, 'a completion window is from 1h to 7d');

/** @returns the length of a completion window in seconds. */
export function windowSeconds(text: string): number {
  return Number(text.slice(0, -1)) * (text.endsWith('d') ? 86_400 : 3_600);
}

/** A line given with the batch itself: its url is the batch's endpoint unless it says otherwise. */
const inlineRequest = batchLine.extend({
  method: batchLine.shape.method.default('POST'),
  url: batchLine.shape.url.optional(),
});

/** How a batch's output and error files are kept. A file of gzip members one after the other is a valid gzip file. */
export const outputFormats = ['jsonl', 'jsonl.gz'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** 0 is soonest, to -100: among the batches of a workspace. */
const priority = z.int().min(-100).max(0);

const batchBody = z.object({
  input_file_id: z.string().optional(),
  requests: z.array(inlineRequest).min(1, 'at least one request').optional(),
  endpoint: z.string(),
  completion_window: completionWindow,
  metadata: metadataSchema.nullish(),
  output_expires_after: expiresAfter('created_at').optional(),
  webhook: webhookBody.nullish(),
  output_format: z.enum(outputFormats).optional(),
  priority: priority.optional(),
});
export const createBatchBody = batchBody
  .refine(({ input_file_id, requests }) => input_file_id !== undefined || requests !== undefined, {
    path: ['input_file_id'],
    error: 'name an uploaded file, or give the lines as requests',
  })
  .refine(({ input_file_id, requests }) => input_file_id === undefined || requests === undefined, {
    path: ['requests'],
    error: 'a batch has an input file or requests, not both',
  });
export const createBatchQuery = z.object({ validate: z.enum(['strict']).optional() });
export type CreateBatchQuery = z.output<typeof createBatchQuery>;
export type CreateBatchBody = z.output<typeof createBatchBody>;

/** What of a batch may still be changed once it is made. */
export const updateBatchBody = z.object({ priority });
export type UpdateBatchBody = z.output<typeof updateBatchBody>;

/** A retry without a webhook of its own keeps the one of the batch that it retries; null: none. */
export const retryBatchBody = z.object({ webhook: webhookBody.nullish() }).optional();
export type RetryBatchBody = z.output<typeof retryBatchBody>;

/** `after`: how many of the batch's chunks have been read, in the order in which they were done. */
export const resultsQuery = z.object({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(0),
});
export type ResultsQuery = z.output<typeof resultsQuery>;

/** Chunks are paged by index, in the order of the input's lines. */
export const chunkListQuery = z.object({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export type ChunkListQuery = z.output<typeof chunkListQuery>;

export interface ChunkObject {
  /** The index as text: what `after` takes, and what the stock client pages by. */
  id: string;
  object: 'batch.chunk';
  index: number;
  status: 'pending' | 'queued' | 'running' | 'done';
  /** Line of the input file, counted from 1. */
  first_line: number;
  lines: number;
  /** Tries begun; 0 before the first. */
  attempt: number;
  /** All 0 until the chunk is done. */
  request_counts: { completed: number; failed: number; canceled: number; expired: number };
  /** Of the newest try. */
  started_at: number | null;
  finished_at: number | null;
}

export const batchListQuery = pageQuery({ max: 100, default: 20 });

/** Codes of errors that fail a whole batch while it is validated. */
export const batchErrorCodes = [
  'invalid_json_line',
  'invalid_line',
  'line_too_long',
  'duplicate_custom_id',
  'url_mismatch',
  'model_mismatch',
  'model_not_found',
  'empty_file',
  'too_many_tasks',
  'missing_required_parameter',
  'input_file_damaged',
  'input_file_missing',
] as const;
export type BatchErrorCode = (typeof batchErrorCodes)[number];

export interface BatchError {
  code: BatchErrorCode;
  message: string;
  /** Line of the input file, counted from 1; null where the error is the file's. */
  line: number | null;
  param: string | null;
}

/** The error of a batch that was refused because of its lines: the first of them, and all that were found. */
export interface WireLinesError extends WireError {
  errors: { object: 'list'; data: readonly BatchError[] };
}

export interface BatchUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

export interface BatchObject {
  id: string;
  object: 'batch';
  endpoint: string;
  model: string | null;
  errors: { object: 'list'; data: BatchError[] } | null;
  input_file_id: string;
  completion_window: string;
  status: BatchStatus;
  output_file_id: string | null;
  error_file_id: string | null;
  created_at: number;
  in_progress_at: number | null;
  expires_at: number;
  finalizing_at: number | null;
  completed_at: number | null;
  failed_at: number | null;
  expired_at: number | null;
  cancelling_at: number | null;
  cancelled_at: number | null;
  request_counts: { total: number; completed: number; failed: number };
  usage: BatchUsage;
  metadata: Record<string, string> | null;
  millrace: {
    /** Share of lines that have their record, 0 to 1. */
    progress: number;
    lines_per_second: number | null;
    eta_seconds: number | null;
    /** Its chunks are held back: those that run finish, no other begins. */
    paused: boolean;
    /** A code that says why, where it was not its owner who paused it: `insufficient_quota`, `provider_token_invalid`. */
    pause_reason: string | null;
    /** 0 is soonest, to -100: among the batches of its workspace. */
    priority: number;
    /** The batch whose failed lines this one runs again. */
    retry_of: string | null;
    /** Where its events are sent, where the batch itself named an address. */
    webhook: BoundWebhook | null;
    output_format: OutputFormat;
    /** Lines recorded as not run, because the batch was cancelled or expired first. */
    canceled_count: number;
    expired_count: number;
  };
}
