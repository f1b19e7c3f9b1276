/** The header `Prefer: wait=N` (RFC 7240): how many seconds the client waits for the end of a task. */

export interface Preference {
  /** 0: the client does not wait. */
  readonly waitMs: number;
  /** The value of `Preference-Applied`; null if the client sent no `wait`. */
  readonly appliedHeader: string | null;
}

/**
 * @param header `wait` without a value means the maximum. Other preferences are ignored, as the RFC says.
 * @param maxSeconds a longer wait is shortened to it.
 */
export function parsePrefer(header: string | undefined, maxSeconds: number): Preference {
  for (const preference of (header ?? '').split(/[,;]/)) {
    const [name = '', value] = preference.split('=', 2).map((part) => part.trim().replace(/^"|"$/g, ''));
    if (name.toLowerCase() !== 'wait') continue;
    if (value === undefined) return { waitMs: maxSeconds * 1_000, appliedHeader: `wait=${maxSeconds}` };
    if (!/^\d{1,9}$/.test(value)) continue;
    const seconds = Math.min(Number(value), maxSeconds);
    return { waitMs: seconds * 1_000, appliedHeader: `wait=${seconds}` };
  }
  return { waitMs: 0, appliedHeader: null };
}
