/** One try at a delivery: signed, sent, and judged. Where it is sent through is the caller's: this decides, and records. */
import { payloadOf, type EventToSend } from './payload.ts';
import { nextTry, retryAfterMs } from './schedule.ts';
import { signatureHeaders } from './sign.ts';

export interface Attempt {
  readonly event: EventToSend;
  readonly url: string;
  /** The newest first. */
  readonly secrets: readonly string[];
  /** The owner's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** Tries of this round of the schedule, this one included. */
  readonly step: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly isCut: boolean;
}

export interface Sending {
  /** What it throws is a failed try; an error's `code` and `message` are shown to the endpoint's owner. */
  readonly send: (request: {
    url: string;
    method: 'POST';
    headers: Record<string, string>;
    body: string;
    timeoutMs: number;
    maxBytes: number;
  }) => Promise<Answer>;
  readonly now: () => Date;
  readonly random?: () => number;
  /** @default 15,000 */
  readonly timeoutMs?: number;
}

export interface AttemptRecord {
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly url: string;
  readonly requestHeaders: Record<string, string>;
  readonly status: number | null;
  readonly responseHeaders: Record<string, string> | null;
  readonly responseBody: string | null;
  readonly responseCut: boolean;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly outcome: 'succeeded' | 'failed' | 'pending';
  readonly nextTryAt: Date | null;
  /** Seconds in which the receiver wants nothing at all (429 and 503 with `Retry-After`). */
  readonly pauseS: number;
  /** 410: the receiver wants nothing ever again. */
  readonly isGone: boolean;
}

/** Bytes of an answer that are kept. */
const keptBytes = 20_000;
const keptHeaders = 32;
const longestPauseS = 60;

/** Never rejects. */
export async function attempt(
  { event, url, secrets, headers, step }: Attempt,
  on: Sending,
): Promise<AttemptRecord> {
  const startedAt = on.now();
  const began = performance.now();
  const body = payloadOf(event);
  const signed = {
    ...signatureHeaders({ id: event.id, at: startedAt, body, secrets }),
    'content-type': 'application/json',
    'user-agent': 'Millrace-Webhooks/1',
  };
  const request = {
    url,
    method: 'POST' as const,
    body,
    timeoutMs: on.timeoutMs ?? 15_000,
    maxBytes: keptBytes,
  };
  const result = await on.send({ ...request, headers: { ...headers, ...signed } }).catch(errorOf);
  const durationMs = Math.round(performance.now() - began);
  const requestHeaders = { ...hidden(headers), ...signed };
  const record = { startedAt, durationMs, url, requestHeaders };
  if ('errorCode' in result) return { ...record, ...noAnswer, ...result, ...later(step, on), isGone: false };
  const { status } = result;
  const answered = {
    status,
    responseHeaders: Object.fromEntries(Object.entries(result.headers).slice(0, keptHeaders)),
    responseBody: result.body.toString('utf8'),
    responseCut: result.isCut,
    isGone: status === 410,
  };
  if (status >= 200 && status < 300) {
    return { ...record, ...answered, ...noError, outcome: 'succeeded', nextTryAt: null, pauseS: 0 };
  }
  const error = { errorCode: codeOf(status), errorMessage: `the receiver answered ${status}` };
  if (answered.isGone)
    return { ...record, ...answered, ...error, outcome: 'failed', nextTryAt: null, pauseS: 0 };
  const retryAfter = result.headers['retry-after'];
  const wants = status === 429 || status === 503 ? (retryAfterMs(retryAfter, on.now()) ?? 0) / 1_000 : 0;
  const next = later(step, on, retryAfter);
  return { ...record, ...answered, ...error, ...next, pauseS: Math.min(longestPauseS, wants) };
}

const noError = { errorCode: null, errorMessage: null };
const noAnswer = { status: null, responseHeaders: null, responseBody: null, responseCut: false };

function later(step: number, { now, random }: Sending, retryAfter?: string) {
  const nextTryAt = nextTry(step, now(), retryAfter, random);
  return { outcome: nextTryAt ? ('pending' as const) : ('failed' as const), nextTryAt, pauseS: 0 };
}

/** Why an answer is no success: a redirect is not followed, whatever it leads to. */
function codeOf(status: number): string {
  if (status === 410) return 'gone';
  return status >= 300 && status < 400 ? 'redirect_refused' : 'status_not_2xx';
}

function errorOf(error: unknown): { errorCode: string; errorMessage: string } {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    errorCode: typeof code === 'string' ? code : 'connection_failed',
    errorMessage: typeof message === 'string' ? message : 'the request failed',
  };
}

function hidden(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(headers).map((name) => [name.toLowerCase(), '•••']));
}
