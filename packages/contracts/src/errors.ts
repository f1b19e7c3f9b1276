/** Errors: OpenAI's shape on OpenAI's paths, RFC 9457 problem details on Millrace's own. Both have the same codes. */
import { z } from 'zod';

/** An error as OpenAI's clients read it. */
export const wireError = z.object({
  message: z.string(),
  type: z.string(),
  param: z.string().nullable(),
  code: z.string().nullable(),
});
export type WireError = z.output<typeof wireError>;

const typesByStatus: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  429: 'rate_limit_error',
};

/** OpenAI's error type for a status. It is the same in responses, in tasks and in batch lines. */
export const toErrorType = (status: number): string =>
  typesByStatus[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error');

/** Codes of errors that fail a whole batch during validation. */
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

export const batchError = z.object({
  code: z.enum(batchErrorCodes),
  message: z.string(),
  /** Line of the input file, 1-based; null if the error concerns the whole file. */
  line: z.int().positive().nullable(),
  param: z.string().nullable(),
});
export type BatchError = z.output<typeof batchError>;

export const batchErrorList = z.object({ object: z.literal('list'), data: z.array(batchError).readonly() });

/** The error of a batch that strict validation refused: the first line error, and all that were found. */
export const wireLinesError = wireError.extend({ errors: batchErrorList });
export type WireLinesError = z.output<typeof wireLinesError>;

/** The body of an error response on OpenAI's paths. */
export const errorResponse = z.object({ error: z.union([wireLinesError, wireError]) });
export type ErrorResponse = z.output<typeof errorResponse>;

/** The body of an error response on Millrace's own paths: RFC 9457. */
export const problemDetails = z.object({
  type: z.literal('about:blank'),
  /** The HTTP status in words. */
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  /** The request id. */
  instance: z.string(),
  code: z.string().nullable(),
  param: z.string().nullable(),
  /** The same as OpenAI's clients read it. */
  error: z.union([wireLinesError, wireError]),
});
export type ProblemDetails = z.output<typeof problemDetails>;
