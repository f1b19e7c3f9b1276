/** Builds the failures of hosted providers, the same for every client library. */
import { parseRetryAfter, ProviderFailure } from '#domain';
import { findError, type ReportedError } from './read-error.ts';
import { toStorableText } from './storable-text.ts';
import { AnswerTooLarge, UpstreamRefusal, type UpstreamError } from './upstream-refusal.ts';

export interface UpstreamIdentity {
  /** The provider's name in messages. */
  readonly provider: string;
  /** Removed from the message if the provider repeats it. */
  readonly secret: string | undefined;
  /** The operator's URLs of the server, removed from the message: its readers are tenants. */
  readonly urls?: readonly (string | undefined)[];
  /** What the reader should do about 401, about 402, and about 403 or 404. One sentence each. */
  readonly advice: { readonly token: string; readonly credit: string; readonly model: string };
}

/** The provider's message is cut to this length. */
const maxMessageLength = 400;

export function buildUpstreamFailure(
  error: UpstreamError,
  { provider, secret, urls, advice }: UpstreamIdentity,
): ProviderFailure {
  const { status, headers, cause } = error;
  const words = toStorableText(redact(error.message, secret, urls), maxMessageLength);
  const message = words === '' ? 'no reason is given' : words;
  const isOutOfCredit = status === 402 || error.code === 'insufficient_quota';
  const retryable = !isOutOfCredit && (status === 408 || status === 409 || status === 429 || status >= 500);
  const hint = isOutOfCredit
    ? ` ${advice.credit}`
    : status === 401
      ? ` ${advice.token}`
      : status === 403 || status === 404
        ? ` ${advice.model}`
        : '';
  const end = hint === '' || /[.!?…]$/.test(message) ? '' : '.';
  return new ProviderFailure(`${provider} answered ${status}: ${message}${end}${hint}`, {
    code: findCode(error, isOutOfCredit),
    param: error.param ?? undefined,
    status,
    retryable,
    retryAfterMs: (headers && parseRetryAfter(headers, Date.now())) ?? error.retryAfterMs ?? null,
    cause,
  });
}

/** An error in a body or a stream that names no status, and whose code and words stand for none. */
const unknownErrorStatus = 502;

/** @throws UpstreamRefusal if the body of an answer with a status of success reports an error. */
export function assertNoError(body: unknown): void {
  const reported = findError(body);
  if (reported) throw toRefusal(reported);
}

export const toRefusal = (reported: ReportedError): UpstreamRefusal =>
  new UpstreamRefusal({ ...reported, status: reported.status ?? unknownErrorStatus, headers: null });

/**
 * Translates what a call throws: an error that the server reported, a connection that broke, a body that is not JSON.
 * @returns the error itself if it is none of these.
 */
export function translateUpstreamError(error: unknown, identity: UpstreamIdentity): unknown {
  // Client libraries wrap what `fetchUpstream` throws.
  const cause = isNamed(error, 'UpstreamRefusal') ? error : (error as { cause?: unknown } | null)?.cause;
  if (isNamed(cause, 'UpstreamRefusal'))
    return buildUpstreamFailure({ ...(cause as UpstreamRefusal).reported, cause }, identity);
  if (error instanceof ProviderFailure) return error;
  if (error instanceof AnswerTooLarge) return invalidOutput(error.message, error);
  if (isNetworkError(error)) return unreachable(identity.provider, error);
  return isParseError(error) ? invalidOutput('it is not JSON', error) : error;
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

/** The response is complete but not what was requested. @param body what it says instead, quoted in the message */
export const invalidOutput = (problem: string, cause?: unknown, body?: unknown): ProviderFailure =>
  new ProviderFailure(`The provider's response is not valid: ${problem}.${quote(body)}`, {
    code: 'invalid_output',
    status: 502,
    retryable: false,
    cause,
  });

const maxQuoteLength = 200;

function quote(body: unknown): string {
  if (body === undefined) return '';
  const text = (typeof body === 'string' ? body : JSON.stringify(body)).replace(/\s+/g, ' ').trim();
  if (text === '') return ' It is empty.';
  const cut = toStorableText(redact(text, undefined), maxQuoteLength);
  return ` It says: ${cut}${cut.length < text.length ? '…' : ''}`;
}

/** A stream broke after part of it was sent to the caller. A retry would send that part again, so there is none. */
export function streamInterrupted(provider: string, cause?: unknown): ProviderFailure {
  const isReported = cause instanceof ProviderFailure && cause.code !== 'provider_unreachable';
  if (isReported) {
    const { code, status, param } = cause;
    const message = `${cause.message} Part of the answer had been sent, so it was not tried again.`;
    return new ProviderFailure(message, { code, status, param: param ?? undefined, retryable: false, cause });
  }
  return new ProviderFailure(`${provider} closed the stream after part of it had been sent.`, {
    code: 'stream_interrupted',
    status: 502,
    retryable: false,
    cause,
  });
}

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

/** Removes the secret that was sent, the server's address, and anything that looks like a token of OpenAI or Hugging Face. */
function redact(text: string, secret: string | undefined, urls: UpstreamIdentity['urls'] = []): string {
  let cleaned = secret ? text.replaceAll(secret, '…') : text;
  for (const url of urls) {
    if (url === undefined) continue;
    const { origin, host, hostname } = new URL(url);
    for (const address of [origin, host, hostname]) cleaned = cleaned.replaceAll(address, '…');
  }
  return cleaned.replace(/\b(sk-|hf_)[\w*.-]{4,}/g, '$1…');
}
