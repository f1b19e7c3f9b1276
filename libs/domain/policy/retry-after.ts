/** Parses `Retry-After` (RFC 9110, section 10.2.3: seconds or a date) and OpenAI's `retry-after-ms`. */

/** A longer wait is ignored: no provider has a rate limit window of more than a day. */
const maxMs = 24 * 3_600_000;

/**
 * @param now ms since the epoch, for dates.
 * @returns ms to wait, or null when the header is missing or unusable (negative, malformed, too long).
 */
export function parseRetryAfter(
  headers: { get(name: string): string | null | undefined },
  now: number,
): number | null {
  const ms = headers.get('retry-after-ms');
  if (ms) return toUsableMs(Number(ms));
  const text = headers.get('retry-after')?.trim();
  if (!text) return null;
  if (/^[+-]?[\d.]+(e\d+)?$/i.test(text)) return toUsableMs(Number(text) * 1_000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : toUsableMs(Math.max(0, date - now));
}

const toUsableMs = (ms: number): number | null => (ms >= 0 && ms <= maxMs ? Math.ceil(ms) : null);
