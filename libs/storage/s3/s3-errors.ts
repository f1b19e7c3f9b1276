/** What S3 and the network before it say, in the words of the error tree; no message carries a key or an address. */
import type { ErrorCode } from '@millrace/contracts';
import { Conflict, Failure, NotFound, Unavailable } from '#domain';
import { ChecksumMismatch } from './checksums.ts';

interface S3ErrorShape {
  readonly name?: string;
  readonly message?: string;
  readonly code?: unknown;
  readonly $metadata?: {
    readonly httpStatusCode?: number;
    readonly attempts?: number;
    readonly requestId?: string;
  };
}

export function getStatus(error: unknown): number | undefined {
  return (error as S3ErrorShape | null)?.$metadata?.httpStatusCode;
}

/** How often the request was sent before it came to this. */
export function getAttempts(error: unknown): number {
  return (error as S3ErrorShape | null)?.$metadata?.attempts ?? 1;
}

export function hasErrorName(error: unknown, ...names: string[]): boolean {
  return names.includes((error as S3ErrorShape | null)?.name ?? '');
}

/**
 * The connection broke, never came about, or went silent: nothing is known of what the server did. An error that
 * comes out of the client's tries without an answer is one of those, whatever it is called.
 */
export function isNetworkError(error: unknown): boolean {
  const { code, name, $metadata } = (error ?? {}) as S3ErrorShape;
  if (
    error instanceof Failure ||
    error instanceof ChecksumMismatch ||
    $metadata?.httpStatusCode !== undefined
  )
    return false;
  if (name === 'TimeoutError' || $metadata?.attempts !== undefined) return true;
  return typeof code === 'string' && /^(E[A-Z_]+|ERR_STREAM_PREMATURE_CLOSE|HPE_[A-Z_]+)$/.test(code);
}

/** A fault that may be gone at the next try. */
export function isTransient(error: unknown): boolean {
  const status = getStatus(error);
  return (
    isNetworkError(error) ||
    error instanceof ChecksumMismatch ||
    status === 429 ||
    (status !== undefined && status >= 500)
  );
}

export function objectNotFound(cause?: unknown): NotFound {
  return new NotFound('There is no such object in the store.', { code: 'object_not_found', cause });
}

const fullErrorNames = [
  'QuotaExceeded',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'InsufficientStorage',
];
/** Those that may come with another status than 429 and 503. */
const busyErrorNames = [
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'TooManyRequests',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
];
const wrongRegionErrorNames = [
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
];
const credentialErrorNames = [
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'CredentialsProviderError',
];

export function toStorageError(error: unknown): unknown {
  if (error instanceof Failure) return error;
  const status = getStatus(error);
  if (hasErrorName(error, ...credentialErrorNames)) return toCredentialsError(error);
  if (isNetworkError(error)) {
    return buildUnavailable('storage_unreachable', 'The object store does not answer; try again.', error);
  }
  if (error instanceof ChecksumMismatch) {
    return buildUnavailable(
      'storage_failed',
      'The object store acknowledged other bytes than were sent.',
      error,
    );
  }
  if (status === undefined) return error;
  return toResponseError(error, status);
}

function toResponseError(error: unknown, status: number): Failure {
  if (status === 507 || hasErrorName(error, ...fullErrorNames)) {
    return new Unavailable(
      'The object store is full: free or add space, or raise its quota, then try again.',
      {
        status: 507,
        retryAfterMs: 60_000,
        cause: buildCause(error),
      },
    );
  }
  if (status === 429 || status === 503 || hasErrorName(error, ...busyErrorNames)) {
    return buildUnavailable(
      'storage_busy',
      'The object store asks for fewer requests; try again later.',
      error,
    );
  }
  if (hasErrorName(error, 'NoSuchBucket')) {
    return buildUnavailable(
      'storage_no_bucket',
      "The object store's bucket does not exist; it has to be created.",
      error,
    );
  }
  if (hasErrorName(error, ...wrongRegionErrorNames) || status === 301) {
    return buildUnavailable(
      'storage_misplaced',
      "The object store's bucket is in another region than the one set.",
      error,
    );
  }
  if (hasErrorName(error, 'RequestTimeTooSkewed')) {
    return buildUnavailable(
      'storage_denied',
      "This machine's clock is too far from the object store's.",
      error,
    );
  }
  if (status === 401 || status === 403) {
    const message =
      'The object store refuses access: its credentials must be allowed to read, write, list and delete.';
    return buildUnavailable('storage_denied', message, error);
  }
  if (hasErrorName(error, 'NoSuchUpload')) {
    return buildUnavailable(
      'storage_failed',
      'The upload was ended from elsewhere before it was complete.',
      error,
    );
  }
  if (status === 404) return objectNotFound(buildCause(error));
  if (status === 412 || status === 409) {
    return new Conflict('The object is not the one that the condition names.', { cause: buildCause(error) });
  }
  return buildUnavailable(
    'storage_failed',
    'The object store failed to read or write; its log line has the cause.',
    error,
  );
}

function toCredentialsError(error: unknown): Unavailable {
  const message = hasErrorName(error, 'CredentialsProviderError')
    ? 'There are no credentials for the object store.'
    : "The object store does not accept its credentials: they are wrong, expired or another server's.";
  return buildUnavailable('storage_denied', message, error);
}

function buildUnavailable(code: ErrorCode, message: string, error: unknown): Unavailable {
  return new Unavailable(message, { code, cause: buildCause(error) });
}

/** For the log: what was said and where to ask, without the exception's other fields, which repeat the signature. */
function buildCause(error: unknown): Error {
  const { name, message, code, $metadata } = error as S3ErrorShape;
  const status = $metadata?.httpStatusCode;
  const facts = [
    name !== 'Error' && name,
    typeof code === 'string' && code,
    status !== undefined && `HTTP ${status}`,
    $metadata?.requestId && `request ${$metadata.requestId}`,
    $metadata?.attempts !== undefined && `${$metadata.attempts} attempts`,
  ].filter(Boolean);
  return new Error(`${facts.join(', ')}: ${(message ?? '').slice(0, 300)}`);
}
