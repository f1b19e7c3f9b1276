/** `Prefer: wait=N` (RFC 7240): how long a caller would wait for the end before it is given the task as it stands. */

export interface Preference {
  readonly waitMs: number;
  /** For `Preference-Applied`; null where nothing was asked for. */
  readonly appliedHeader: string | null;
}

/**
 * @param header `wait` alone is as long as this server waits; other preferences are passed over, as the RFC says.
 * @param maxS what is asked for beyond it is cut to it.
 */
export function parsePrefer(header: string | undefined, maxS: number): Preference {
  for (const preference of (header ?? '').split(/[,;]/)) {
    const [name = '', value] = preference.split('=', 2).map((part) => part.trim().replace(/^"|"$/g, ''));
    if (name.toLowerCase() !== 'wait') continue;
    if (value === undefined) return { waitMs: maxS * 1_000, appliedHeader: `wait=${maxS}` };
    if (!/^\d{1,9}$/.test(value)) continue;
    const seconds = Math.min(Number(value), maxS);
    return { waitMs: seconds * 1_000, appliedHeader: `wait=${seconds}` };
  }
  return { waitMs: 0, appliedHeader: null };
}
