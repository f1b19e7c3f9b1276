/** The retry schedule of webhook deliveries. */

const [second, minute, hour] = [1_000, 60_000, 3_600_000];

/** Delay before each attempt, in ms, from the end of the previous one: ten attempts in a little over three days. */
export const retryDelaysMs: readonly number[] = [
  0,
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];

/** Up to this part of each delay is added to it, so that deliveries that failed together are not retried together. */
const jitter = 0.1;

/** Limits of the delay that a receiver may request with `Retry-After`. */
const [minRetryAfterMs, maxRetryAfterMs] = [second, 24 * hour];

/**
 * @param attempts number of attempts made so far. @param retryAfter the response header, seconds or a date (RFC 9110
 * §10.2.3); an invalid value is ignored. @returns null after the last attempt.
 */
export function getNextAttemptAt(
  attempts: number,
  at: Date,
  retryAfter?: string,
  random = Math.random,
): Date | null {
  const delayMs = retryDelaysMs[attempts];
  if (delayMs === undefined) return null;
  const requestedMs = parseRetryAfter(retryAfter, at);
  const waitMs =
    requestedMs === null
      ? delayMs * (1 + jitter * random())
      : Math.min(maxRetryAfterMs, Math.max(minRetryAfterMs, requestedMs));
  return new Date(at.getTime() + waitMs);
}

/** @returns the delay in ms; null when the header is absent or invalid. */
export function parseRetryAfter(text: string | undefined, now: Date): number | null {
  if (text === undefined) return null;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * second;
  // Accepts only text that looks like a date: Date.parse accepts almost anything.
  if (!/^\s*[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/.test(text)) return null;
  const until = Date.parse(text);
  return Number.isNaN(until) || until < now.getTime() ? null : until - now.getTime();
}
