/** When a delivery is tried again. */

const [second, minute, hour] = [1_000, 60_000, 3_600_000];

/** Before each try, in ms, counted from the end of the one before it: ten tries in a little over three days. */
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

/** Of each wait, up to so much is added: what failed together does not come back together. */
const jitter = 0.1;

/** What a receiver may ask for by `Retry-After`. */
const [leastMs, mostMs] = [second, 24 * hour];

/**
 * @param tries made so far, this one included. @param retryAfter as the answer has it, seconds or a date (RFC 9110
 * §10.2.3); what is no such thing is not heeded. @returns null when that was the last one.
 */
export function getNextAttemptAt(
  tries: number,
  at: Date,
  retryAfter?: string,
  random = Math.random,
): Date | null {
  const wait = retryDelaysMs[tries];
  if (wait === undefined) return null;
  const asked = parseRetryAfter(retryAfter, at);
  const ms = asked === null ? wait * (1 + jitter * random()) : Math.min(mostMs, Math.max(leastMs, asked));
  return new Date(at.getTime() + ms);
}

/** @returns ms; null where nothing sensible is asked for. */
export function parseRetryAfter(text: string | undefined, now: Date): number | null {
  if (text === undefined) return null;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * second;
  // Only what looks like a date: Date.parse makes one of almost anything.
  if (!/^\s*[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/.test(text)) return null;
  const until = Date.parse(text);
  return Number.isNaN(until) || until < now.getTime() ? null : until - now.getTime();
}
