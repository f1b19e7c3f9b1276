/**
 * The one error tree. Stores, libs and use cases throw these; one filter per wire (OpenAI's shape, RFC 9457)
 * turns them into a response. `code` is stable and documented; `message` says what to do and never carries a
 * secret or a user's input.
 */
import type { BatchError } from '@millrace/contracts';

export interface FailureDetails {
  /** Stable machine-readable code, e.g. `invalid_file_format`. */
  readonly code?: string;
  /** The request's field at fault, dotted, e.g. `expires_after.seconds`. */
  readonly param?: string;
  readonly cause?: unknown;
}

export abstract class Failure extends Error {
  /** HTTP status that the edge answers with. */
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

/** 400: the request can't be understood or breaks a rule; sending it again unchanged fails again. */
export class InvalidInput extends Failure {
  readonly status = 400;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'invalid_request', details);
  }
}

/** 400: a batch's lines are wrong; the first of them is the message, all that were found are with it. */
export class InvalidLines extends InvalidInput {
  constructor(readonly errors: readonly BatchError[]) {
    const { line, message, code, param } = errors[0]!;
    super(line === null ? message : `Line ${line}: ${message}`, { code, ...(param && { param }) });
  }
}

/** 401: no key, or one that is unknown, expired or revoked. */
export class Unauthenticated extends Failure {
  readonly status = 401;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'invalid_api_key', details);
  }
}

/** 403: the key is good but may not do this. */
export class Forbidden extends Failure {
  readonly status = 403;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'forbidden', details);
  }
}

/** 404: nothing of that id in the caller's workspace (a foreign id looks the same). */
export class NotFound extends Failure {
  readonly status = 404;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'not_found', details);
  }
}

/** 409: the thing exists but its state forbids this. */
export class Conflict extends Failure {
  readonly status = 409;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'conflict', details);
  }
}

/** 410: it was here, and is no longer kept. */
export class Gone extends Failure {
  readonly status = 410;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'gone', details);
  }
}

/** 413 for one thing that is too large, 429 for too many of them. */
export class OverLimit extends Failure {
  readonly status: 413 | 429;
  readonly retryAfterMs: number | null;
  constructor(message: string, details: FailureDetails & { status?: 413 | 429; retryAfterMs?: number } = {}) {
    super(message, details.status === 429 ? 'rate_limit_exceeded' : 'too_large', details);
    this.status = details.status ?? 413;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}

/** 503, or 507 where the store is full: something we stand on does not answer; nothing was committed. */
export class Unavailable extends Failure {
  readonly status: 503 | 507;
  readonly retryAfterMs: number;
  constructor(message: string, details: FailureDetails & { status?: 503 | 507; retryAfterMs?: number } = {}) {
    super(message, details.status === 507 ? 'storage_full' : 'unavailable', details);
    this.status = details.status ?? 503;
    this.retryAfterMs = details.retryAfterMs ?? 5_000;
  }
}

/** 504: the answer did not come while the caller could be kept waiting; the work goes on. */
export class TimedOut extends Failure {
  readonly status = 504;
  constructor(message: string, details?: FailureDetails) {
    super(message, 'timed_out', details);
  }
}

/** What a provider answered, translated in its own folder; `retryable` decides what the policy does next. */
export class ProviderFailure extends Failure {
  readonly status: number;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
  /** What was asked may be the cause: when trying again does not help, its parts are tried apart. */
  readonly suspect: boolean;
  constructor(
    message: string,
    details: FailureDetails & {
      status: number;
      retryable: boolean;
      retryAfterMs?: number | null;
      suspect?: boolean;
    },
  ) {
    super(message, 'provider_error', details);
    this.status = details.status;
    this.retryable = details.retryable;
    this.suspect = details.suspect ?? !details.retryable;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}
