/** Translates errors of S3 and of the network. No message has a key or an address. */
import type { ErrorCode } from '@millrace/contracts';
import { Failure, Unavailable } from '#domain';
import { etagDiffers } from '../conditions.ts';
import { objectNotFound } from '../errors.ts';
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

/** How often the request was sent. */
export function getAttempts(error: unknown): number {
  return (error as S3ErrorShape | null)?.$metadata?.attempts ?? 1;
}

export function hasErrorName(error: unknown, ...names: string[]): boolean {
  return names.includes((error as S3ErrorShape | null)?.name ?? '');
}

/**
 * Whether the connection failed, broke or timed out, so that it is not known what the server did. That includes every
 * error of the client's retries that has no response.
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

/** Whether a retry may succeed. */
export function isTransient(error: unknown): boolean {
  const status = getStatus(error);
  return (
    isNetworkError(error) ||
    error instanceof ChecksumMismatch ||
    status === 429 ||
    (status !== undefined && status >= 500)
  );
}

const fullErrorNames = [
  'QuotaExceeded',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'InsufficientStorage',
];
/** Names that may come with another status than 429 or 503. */
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
    return buildUnavailable('storage_unreachable', 'The object storage does not respond. Try again.', error);
  }
  if (error instanceof ChecksumMismatch) {
    return buildUnavailable(
      'storage_failed',
      'The object storage confirmed other bytes than were sent.',
      error,
    );
  }
  if (status === undefined) return error;
  return toResponseError(error, status);
}

function toResponseError(error: unknown, status: number): Failure {
  const unavailable = (code: ErrorCode, message: string) => buildUnavailable(code, message, error);
  if (status === 507 || hasErrorName(error, ...fullErrorNames)) {
    return new Unavailable(
      'The object storage is full. Free or add space, or raise its quota, then try again.',
      {
        status: 507,
        retryAfterMs: 60_000,
        cause: buildCause(error),
      },
    );
  }
  if (status === 429 || status === 503 || hasErrorName(error, ...busyErrorNames)) {
    return unavailable('storage_busy', 'The object storage is overloaded. Try again later.');
  }
  if (hasErrorName(error, 'NoSuchBucket')) {
    return unavailable('storage_no_bucket', 'The bucket of the object storage does not exist. Create it.');
  }
  if (hasErrorName(error, ...wrongRegionErrorNames) || status === 301) {
    return unavailable(
      'storage_misplaced',
      'The bucket of the object storage is not in the configured region.',
    );
  }
  if (hasErrorName(error, 'RequestTimeTooSkewed')) {
    return unavailable(
      'storage_denied',
      "This machine's clock differs too much from the clock of the object storage.",
    );
  }
  if (status === 401 || status === 403) {
    return unavailable(
      'storage_denied',
      'The object storage denies access. Its credentials must be allowed to read, write, list and delete.',
    );
  }
  if (hasErrorName(error, 'NoSuchUpload')) {
    return unavailable('storage_failed', 'Another process ended the upload before it was complete.');
  }
  if (status === 404) return objectNotFound(buildCause(error));
  if (status === 412 || status === 409) return etagDiffers(buildCause(error));
  return unavailable('storage_failed', 'The object storage failed to read or write. The log has the cause.');
}

function toCredentialsError(error: unknown): Unavailable {
  const message = hasErrorName(error, 'CredentialsProviderError')
    ? 'No credentials for the object storage were found.'
    : 'The object storage does not accept the credentials: they are wrong, expired, or for another server.';
  return buildUnavailable('storage_denied', message, error);
}

function buildUnavailable(code: ErrorCode, message: string, error: unknown): Unavailable {
  return new Unavailable(message, { code, cause: buildCause(error) });
}

/** The cause for the log: name, status and request id. The other fields of the error are left out: they have the signature. */
function buildCause(error: unknown): Error {
  const { name, message, code, $metadata } = error as S3ErrorShape;
  const status = $metadata?.httpStatusCode;
  const details = [
    name !== 'Error' && name,
    typeof code === 'string' && code,
    status !== undefined && `HTTP ${status}`,
    $metadata?.requestId && `request ${$metadata.requestId}`,
    $metadata?.attempts !== undefined && `${$metadata.attempts} attempts`,
  ].filter(Boolean);
  return new Error(`${details.join(', ')}: ${(message ?? '').slice(0, 300)}`);
}
