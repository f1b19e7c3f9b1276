/** `Retry-After` as servers send it, RFC 9110, section 10.2.3: seconds or a date; and OpenAI's `retry-after-ms`. */

/** Longer than any provider's window; what lies beyond it is no answer. */
const longestMs = 24 * 3_600_000;

/**
 * @param now ms since the epoch, for dates.
 * @returns ms to wait, or null where there is no header or it says nothing usable (negative, not a time, absurd).
 */
export function parseRetryAfter(
  headers: { get(name: string): string | null | undefined },
  now: number,
): number | null {
  const ms = headers.get('retry-after-ms');
  if (ms) return usable(Number(ms));
  const text = headers.get('retry-after')?.trim();
  if (!text) return null;
  if (/^[+-]?[\d.]+(e\d+)?$/i.test(text)) return usable(Number(text) * 1_000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : usable(Math.max(0, date - now));
}

const usable = (ms: number): number | null => (ms >= 0 && ms <= longestMs ? Math.ceil(ms) : null);
