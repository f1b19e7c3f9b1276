/** Makes one attempt at a webhook delivery: signs the event, sends it, and decides the outcome. The caller provides `send`. */
import { buildPayload, type WebhookEvent } from './build-payload.ts';
import { getNextAttemptAt, parseRetryAfter } from './retry-schedule.ts';
import { buildSignatureHeaders } from './sign-webhook.ts';

export interface AttemptRequest {
  readonly event: WebhookEvent;
  readonly url: string;
  /** Newest first. */
  readonly secrets: readonly string[];
  /** Custom headers of the webhook endpoint. */
  readonly headers: Readonly<Record<string, string>>;
  /** 1-based number of this attempt within the retry schedule. */
  readonly scheduleStep: number;
}

export interface ReceiverResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly isTruncated: boolean;
}

export interface AttemptDeps {
  /** An error is a failed attempt. Its `code` and `message` are shown to the owner of the webhook endpoint. */
  readonly send: (request: {
    url: string;
    method: 'POST';
    headers: Record<string, string>;
    body: string;
    timeoutMs: number;
    maxBytes: number;
  }) => Promise<ReceiverResponse>;
  readonly now: () => Date;
  readonly random?: () => number;
  /** @default 15,000 */
  readonly timeoutMs?: number;
}

export interface WebhookAttemptRecord {
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly url: string;
  readonly requestHeaders: Record<string, string>;
  readonly status: number | null;
  readonly responseHeaders: Record<string, string> | null;
  readonly responseBody: string | null;
  readonly responseTruncated: boolean;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly outcome: 'succeeded' | 'failed' | 'pending';
  readonly nextAttemptAt: Date | null;
  /** Seconds for which the receiver asks for no deliveries at all (429 and 503 with `Retry-After`). */
  readonly pauseS: number;
  /** The receiver answered 410: it wants no more deliveries. */
  readonly isGone: boolean;
}

/** Bytes of a response body that are stored. */
const maxResponseBytes = 20_000;
const maxResponseHeaders = 32;
const maxPauseS = 60;

/** Never rejects. */
export async function sendAttempt(
  { event, url, secrets, headers, scheduleStep }: AttemptRequest,
  deps: AttemptDeps,
): Promise<WebhookAttemptRecord> {
  const startedAt = deps.now();
  const startMs = performance.now();
  const body = buildPayload(event);
  const ownHeaders = {
    ...buildSignatureHeaders({ id: event.id, at: startedAt, body, secrets }),
    'content-type': 'application/json',
    'user-agent': 'Millrace-Webhooks/1',
  };
  const request = {
    url,
    method: 'POST' as const,
    body,
    timeoutMs: deps.timeoutMs ?? 15_000,
    maxBytes: maxResponseBytes,
  };
  const result = await deps.send({ ...request, headers: { ...headers, ...ownHeaders } }).catch(toError);
  const durationMs = Math.round(performance.now() - startMs);
  const requestHeaders = { ...maskHeaders(headers), ...ownHeaders };
  const record = { startedAt, durationMs, url, requestHeaders };
  if ('errorCode' in result)
    return { ...record, ...noResponse, ...result, ...scheduleNext(scheduleStep, deps), isGone: false };
  const { status } = result;
  const response = {
    status,
    responseHeaders: Object.fromEntries(Object.entries(result.headers).slice(0, maxResponseHeaders)),
    responseBody: result.body.toString('utf8'),
    responseTruncated: result.isTruncated,
    isGone: status === 410,
  };
  if (status >= 200 && status < 300) {
    return { ...record, ...response, ...noError, outcome: 'succeeded', nextAttemptAt: null, pauseS: 0 };
  }
  const error = { errorCode: toErrorCode(status), errorMessage: `the receiver answered ${status}` };
  if (response.isGone)
    return { ...record, ...response, ...error, outcome: 'failed', nextAttemptAt: null, pauseS: 0 };
  const retryAfter = result.headers['retry-after'];
  const asksForPause = status === 429 || status === 503;
  const pauseS = asksForPause ? (parseRetryAfter(retryAfter, deps.now()) ?? 0) / 1_000 : 0;
  const next = scheduleNext(scheduleStep, deps, retryAfter);
  return { ...record, ...response, ...error, ...next, pauseS: Math.min(maxPauseS, pauseS) };
}

const noError = { errorCode: null, errorMessage: null };
const noResponse = { status: null, responseHeaders: null, responseBody: null, responseTruncated: false };

function scheduleNext(step: number, { now, random }: AttemptDeps, retryAfter?: string) {
  const nextAttemptAt = getNextAttemptAt(step, now(), retryAfter, random);
  return { outcome: nextAttemptAt ? ('pending' as const) : ('failed' as const), nextAttemptAt, pauseS: 0 };
}

/** Returns the error code of a status that is not 2xx. Redirects are never followed. */
function toErrorCode(status: number): string {
  if (status === 410) return 'gone';
  return status >= 300 && status < 400 ? 'redirect_refused' : 'status_not_2xx';
}

function toError(error: unknown): { errorCode: string; errorMessage: string } {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    errorCode: typeof code === 'string' ? code : 'connection_failed',
    errorMessage: typeof message === 'string' ? message : 'the request failed',
  };
}

function maskHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(headers).map((name) => [name.toLowerCase(), '•••']));
}
