/** Builds the failures of hosted providers, the same for every client library. */
import { parseRetryAfter, ProviderFailure } from '#domain';

export interface UpstreamError {
  readonly status: number;
  /** The provider's own error message. */
  readonly message: string;
  readonly code?: string | null;
  readonly param?: string | null;
  readonly headers: { get(name: string): string | null | undefined } | null;
  readonly cause: unknown;
}

export interface UpstreamIdentity {
  /** The provider's name in messages. */
  readonly provider: string;
  /** Removed from the message if the provider repeats it. */
  readonly secret: string | undefined;
  /** What the reader should do about 401, about 402, and about 403 or 404. One sentence each. */
  readonly advice: { readonly token: string; readonly credit: string; readonly model: string };
}

/** The provider's message is cut to this length. */
const maxMessageLength = 400;

export function buildUpstreamFailure(
  error: UpstreamError,
  { provider, secret, advice }: UpstreamIdentity,
): ProviderFailure {
  const { status, headers, cause } = error;
  const message = redact(error.message, secret).slice(0, maxMessageLength);
  const isOutOfCredit = status === 402 || error.code === 'insufficient_quota';
  const retryable = !isOutOfCredit && (status === 408 || status === 409 || status === 429 || status >= 500);
  const hint = isOutOfCredit
    ? ` ${advice.credit}`
    : status === 401
      ? ` ${advice.token}`
      : status === 403 || status === 404
        ? ` ${advice.model}`
        : '';
  return new ProviderFailure(`${provider} answered ${status}: ${message}${hint}`, {
    code: findCode(error, isOutOfCredit),
    param: error.param ?? undefined,
    status,
    retryable,
    retryAfterMs: headers && parseRetryAfter(headers, Date.now()),
    cause,
  });
}

const codes: Partial<Record<number, string>> = {
  401: 'provider_token_invalid',
  403: 'model_gated',
  404: 'provider_model_not_found',
  408: 'request_timeout',
  413: 'provider_too_large',
  429: 'provider_rate_limited',
};

function findCode({ status, message, code }: UpstreamError, isOutOfCredit: boolean): string {
  if (isOutOfCredit) return 'insufficient_quota';
  if (status === 503 && /\bload/i.test(message)) return 'model_loading';
  return codes[status] ?? (code || 'provider_error');
}

/** The connection failed, or broke before the response was complete. */
export const unreachable = (provider: string, cause: unknown): ProviderFailure =>
  new ProviderFailure(
    `${provider} could not be reached, or closed the connection before its response was complete.`,
    {
      code: 'provider_unreachable',
      status: 502,
      retryable: true,
      cause,
    },
  );

/** The response is complete but not what was requested. */
export const invalidOutput = (problem: string, cause?: unknown): ProviderFailure =>
  new ProviderFailure(`The provider's response is not valid: ${problem}.`, {
    code: 'invalid_output',
    status: 502,
    retryable: false,
    cause,
  });

/** A stream broke after part of it was sent to the caller. A retry would send that part again, so there is none. */
export const streamInterrupted = (provider: string, cause?: unknown): ProviderFailure =>
  new ProviderFailure(`${provider} closed the stream after part of it had been sent.`, {
    code: 'stream_interrupted',
    status: 502,
    retryable: false,
    cause,
  });

/** A request that this provider cannot carry out. */
export const unsupportedRequest = (message: string, param?: string): ProviderFailure =>
  new ProviderFailure(message, { code: 'unsupported', param, status: 400, retryable: false });

/** Compares the name, because `instanceof` fails for errors of fetch that come from another realm (Jest). */
const isNamed = (error: unknown, name: string): error is Error =>
  typeof error === 'object' && error !== null && (error as Error).name === name;

/** undici throws a `TypeError` for a connection that failed or broke. */
export const isNetworkError = (error: unknown): boolean =>
  isNamed(error, 'TypeError') && /fetch failed|terminated|network/i.test(error.message);

/** The body is not JSON. */
export const isParseError = (error: unknown): boolean => isNamed(error, 'SyntaxError');

/** Removes the secret that was sent, and anything that looks like a token of OpenAI or Hugging Face. */
function redact(text: string, secret: string | undefined): string {
  const withoutSecret = secret ? text.replaceAll(secret, '…') : text;
  return withoutSecret.replace(/\b(sk-|hf_)[\w*.-]{4,}/g, '$1…');
}
