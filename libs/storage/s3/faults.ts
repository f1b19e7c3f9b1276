/** What S3 and the network before it say, in the words of the error tree; no message carries a key or an address. */
import { Conflict, Failure, NotFound, Unavailable } from '#domain';
import { OtherBytes } from './integrity.ts';

interface Said {
  readonly name?: string;
  readonly message?: string;
  readonly code?: unknown;
  readonly $metadata?: {
    readonly httpStatusCode?: number;
    readonly attempts?: number;
    readonly requestId?: string;
  };
}

export function statusOf(error: unknown): number | undefined {
  return (error as Said | null)?.$metadata?.httpStatusCode;
}

/** How often the request was sent before it came to this. */
export function attemptsOf(error: unknown): number {
  return (error as Said | null)?.$metadata?.attempts ?? 1;
}

export function isNamed(error: unknown, ...names: string[]): boolean {
  return names.includes((error as Said | null)?.name ?? '');
}

/**
 * The connection broke, never came about, or went silent: nothing is known of what the server did. An error that
 * comes out of the client's tries without an answer is one of those, whatever it is called.
 */
export function isNetwork(error: unknown): boolean {
  const { code, name, $metadata } = (error ?? {}) as Said;
  if (error instanceof Failure || error instanceof OtherBytes || $metadata?.httpStatusCode !== undefined)
    return false;
  if (name === 'TimeoutError' || $metadata?.attempts !== undefined) return true;
  return typeof code === 'string' && /^(E[A-Z_]+|ERR_STREAM_PREMATURE_CLOSE|HPE_[A-Z_]+)$/.test(code);
}

/** A fault that may be gone at the next try. */
export function isPassing(error: unknown): boolean {
  const status = statusOf(error);
  return (
    isNetwork(error) ||
    error instanceof OtherBytes ||
    status === 429 ||
    (status !== undefined && status >= 500)
  );
}

export function objectNotFound(cause?: unknown): NotFound {
  return new NotFound('There is no such object in the store.', { code: 'object_not_found', cause });
}

const full = ['QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded', 'InsufficientStorage'];
/** Those that may come with another status than 429 and 503. */
const busy = [
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'TooManyRequests',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
];
const elsewhere = [
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
];
const credentials = [
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'CredentialsProviderError',
];

export function translate(error: unknown): unknown {
  if (error instanceof Failure) return error;
  const status = statusOf(error);
  if (isNamed(error, ...credentials)) return refusedCredentials(error);
  if (isNetwork(error)) {
    return unavailable('storage_unreachable', 'The object store does not answer; try again.', error);
  }
  if (error instanceof OtherBytes) {
    return unavailable('storage_failed', 'The object store acknowledged other bytes than were sent.', error);
  }
  if (status === undefined) return error;
  return translateAnswer(error, status);
}

function translateAnswer(error: unknown, status: number): Failure {
  if (status === 507 || isNamed(error, ...full)) {
    return new Unavailable(
      'The object store is full: free or add space, or raise its quota, then try again.',
      {
        status: 507,
        retryAfterMs: 60_000,
        cause: causeOf(error),
      },
    );
  }
  if (status === 429 || status === 503 || isNamed(error, ...busy)) {
    return unavailable('storage_busy', 'The object store asks for fewer requests; try again later.', error);
  }
  if (isNamed(error, 'NoSuchBucket')) {
    return unavailable(
      'storage_no_bucket',
      "The object store's bucket does not exist; it has to be created.",
      error,
    );
  }
  if (isNamed(error, ...elsewhere) || status === 301) {
    return unavailable(
      'storage_misplaced',
      "The object store's bucket is in another region than the one set.",
      error,
    );
  }
  if (isNamed(error, 'RequestTimeTooSkewed')) {
    return unavailable('storage_denied', "This machine's clock is too far from the object store's.", error);
  }
  if (status === 401 || status === 403) {
    const message =
      'The object store refuses access: its credentials must be allowed to read, write, list and delete.';
    return unavailable('storage_denied', message, error);
  }
  if (isNamed(error, 'NoSuchUpload')) {
    return unavailable(
      'storage_failed',
      'The upload was ended from elsewhere before it was complete.',
      error,
    );
  }
  if (status === 404) return objectNotFound(causeOf(error));
  if (status === 412 || status === 409) {
    return new Conflict('The object is not the one that the condition names.', { cause: causeOf(error) });
  }
  return unavailable(
    'storage_failed',
    'The object store failed to read or write; its log line has the cause.',
    error,
  );
}

function refusedCredentials(error: unknown): Unavailable {
  const message = isNamed(error, 'CredentialsProviderError')
    ? 'There are no credentials for the object store.'
    : "The object store does not accept its credentials: they are wrong, expired or another server's.";
  return unavailable('storage_denied', message, error);
}

function unavailable(code: string, message: string, error: unknown): Unavailable {
  return new Unavailable(message, { code, cause: causeOf(error) });
}

/** For the log: what was said and where to ask, without the exception's other fields, which repeat the signature. */
function causeOf(error: unknown): Error {
  const { name, message, code, $metadata } = error as Said;
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
