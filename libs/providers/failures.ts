/** What the hosted providers' failures have in common, whatever client brought them. */
import { parseRetryAfter, ProviderFailure } from '#domain';

export interface UpstreamError {
  readonly status: number;
  /** The provider's own words. */
  readonly message: string;
  readonly code?: string | null;
  readonly param?: string | null;
  readonly headers: { get(name: string): string | null | undefined } | null;
  readonly cause: unknown;
}

export interface UpstreamIdentity {
  /** Whom to name in messages. */
  readonly provider: string;
  /** Never to be shown, should the provider say it back. */
  readonly secret: string | undefined;
  /** What to do about 401, 402, and 403 or 404, each a sentence. */
  readonly advice: { readonly token: string; readonly credit: string; readonly model: string };
}

/** What a provider says is passed on up to this length. */
const longestMessage = 400;

export function buildUpstreamFailure(
  answered: UpstreamError,
  { provider, secret, advice }: UpstreamIdentity,
): ProviderFailure {
  const { status, headers, cause } = answered;
  const said = redact(answered.message, secret).slice(0, longestMessage);
  const isSpent = status === 402 || answered.code === 'insufficient_quota';
  const retryable = !isSpent && (status === 408 || status === 409 || status === 429 || status >= 500);
  const hint = isSpent
    ? ` ${advice.credit}`
    : status === 401
      ? ` ${advice.token}`
      : status === 403 || status === 404
        ? ` ${advice.model}`
        : '';
  return new ProviderFailure(`${provider} answered ${status}: ${said}${hint}`, {
    code: codeOf(answered, isSpent),
    param: answered.param ?? undefined,
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

function codeOf({ status, message, code }: UpstreamError, isSpent: boolean): string {
  if (isSpent) return 'insufficient_quota';
  if (status === 503 && /\bload/i.test(message)) return 'model_loading';
  return codes[status] ?? (code || 'provider_error');
}

/** The connection could not be made, or broke before the answer was complete. */
export const unreachable = (provider: string, cause: unknown): ProviderFailure =>
  new ProviderFailure(`${provider} could not be reached, or broke off its answer.`, {
    code: 'provider_unreachable',
    status: 502,
    retryable: true,
    cause,
  });

/** A complete answer that is not what was asked for. */
export const invalidOutput = (what: string, cause?: unknown): ProviderFailure =>
  new ProviderFailure(`The model's answer does not fit: ${what}.`, {
    code: 'invalid_output',
    status: 502,
    retryable: false,
    cause,
  });

/** A stream that broke off after a part of it was passed on: it can't be begun again unnoticed. */
export const streamInterrupted = (provider: string, cause?: unknown): ProviderFailure =>
  new ProviderFailure(`${provider} broke off its answer after a part of it had been passed on.`, {
    code: 'stream_interrupted',
    status: 502,
    retryable: false,
    cause,
  });

/** A request that this provider has no way to carry out. */
export const unsupportedRequest = (message: string, param?: string): ProviderFailure =>
  new ProviderFailure(message, { code: 'unsupported', param, status: 400, retryable: false });

/** By name: fetch's errors are not always of the realm that asks. */
const isNamed = (error: unknown, name: string): error is Error =>
  typeof error === 'object' && error !== null && (error as Error).name === name;

/** undici's `TypeError`s of a connection that failed or broke. */
export const isNetworkError = (error: unknown): boolean =>
  isNamed(error, 'TypeError') && /fetch failed|terminated|network/i.test(error.message);

/** A body that is no JSON. */
export const isParseError = (error: unknown): boolean => isNamed(error, 'SyntaxError');

/** Tokens as in `Bearer x`, and whatever a provider says back of the secret that it was sent. */
function redact(text: string, secret: string | undefined): string {
  const hidden = secret ? text.replaceAll(secret, '…') : text;
  return hidden.replace(/\b(sk-|hf_)[\w*.-]{4,}/g, '$1…');
}
