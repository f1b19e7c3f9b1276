/**
 * The error classes of the whole server. Stores, libs and use cases throw them. One filter per wire format (OpenAI,
 * RFC 9457) turns them into a response. `code` is stable and documented. `message` says what to do, and never contains
 * a secret or a user's input.
 */
import type { BatchError, ErrorCode } from '@millrace/contracts';

export interface FailureDetails {
  /** Stable machine-readable code, e.g. `invalid_file_format`. */
  readonly code?: ErrorCode;
  /** Path of the invalid request field, e.g. `expires_after.seconds`. */
  readonly param?: string;
  readonly cause?: unknown;
}

export abstract class Failure extends Error {
  /** HTTP status of the response. */
  abstract readonly status: number;
  readonly code: string;
  readonly param: string | null;

  protected constructor(message: string, code: string, details: FailureDetails = {}) {
    super(message, { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code ?? code;
    this.param = details.param ?? null;
  }
}

/** 400: the request is malformed or breaks a rule. The same request will fail again. */
export class InvalidInput extends Failure {
  readonly status = 400;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'invalid_request', details);
  }
}

/** 400: lines of a batch are invalid. The message is the first error, `errors` lists all that were found. */
export class InvalidLines extends InvalidInput {
  constructor(readonly errors: readonly BatchError[]) {
    const { line, message, code, param } = errors[0]!;
    super(line === null ? message : `Line ${line}: ${message}`, { code, ...(param && { param }) });
  }
}

/** 401: the API key is missing, unknown, expired or revoked. */
export class Unauthenticated extends Failure {
  readonly status = 401;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'invalid_api_key', details);
  }
}

/** 403: the API key is valid but does not allow this operation. */
export class Forbidden extends Failure {
  readonly status = 403;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'forbidden', details);
  }
}

/** 404: no such id in the caller's workspace. An id of another workspace gets the same answer. */
export class NotFound extends Failure {
  readonly status = 404;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'not_found', details);
  }
}

/** 409: the state of the resource does not allow this operation. */
export class Conflict extends Failure {
  readonly status = 409;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'conflict', details);
  }
}

/** 410: the resource existed and was deleted. */
export class Gone extends Failure {
  readonly status = 410;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'gone', details);
  }
}

/** 415: the body has a content type that the route does not take. */
export class UnsupportedMediaType extends Failure {
  readonly status = 415;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'unsupported_media_type', details);
  }
}

/** 413 when one thing is too large, 429 when there are too many. */
export class OverLimit extends Failure {
  readonly status: 413 | 429;
  readonly retryAfterMs: number | null;
  constructor(message: string, details: FailureDetails & { status?: 413 | 429; retryAfterMs?: number } = {}) {
    super(message, details.status === 429 ? 'rate_limit_exceeded' : 'too_large', details);
    this.status = details.status ?? 413;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}

/** 503 when a dependency does not answer, 507 when the storage is full. Nothing was committed. */
export class Unavailable extends Failure {
  readonly status: 503 | 507;
  readonly retryAfterMs: number;
  constructor(message: string, details: FailureDetails & { status?: 503 | 507; retryAfterMs?: number } = {}) {
    super(message, details.status === 507 ? 'storage_full' : 'unavailable', details);
    this.status = details.status ?? 503;
    this.retryAfterMs = details.retryAfterMs ?? 5_000;
  }
}

/** 500: the provider answered, and the result of its call can't be stored. The call is not made again. */
export class ResultNotStored extends Failure {
  readonly status = 500;
  constructor(cause: unknown) {
    super('The model answered, but its result could not be stored.', 'result_not_stored', { cause });
  }
}

/** 504: the result was not ready within the time the caller waits. The work continues. */
export class TimedOut extends Failure {
  readonly status = 504;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'timed_out', details);
  }
}

/** A provider's error, translated in the provider's folder. `classifyFailure` decides what happens next. */
export class ProviderFailure extends Failure {
  readonly status: number;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
  /** The input may be the cause: when retries do not help, a packed call is split. @default !retryable */
  readonly suspect: boolean;
  /** The provider does not take this work now, and no client waits for it: it can run later. */
  readonly deferrable: boolean;
  constructor(
    message: string,
    details: Omit<FailureDetails, 'code'> & {
      /** One of ours, or the provider's own. */
      code?: string;
      status: number;
      retryable: boolean;
      retryAfterMs?: number | null;
      suspect?: boolean;
      deferrable?: boolean;
    },
  ) {
    super(message, details.code ?? 'provider_error', { param: details.param, cause: details.cause });
    this.status = details.status;
    this.retryable = details.retryable;
    this.suspect = details.suspect ?? !details.retryable;
    this.deferrable = details.deferrable ?? false;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}
