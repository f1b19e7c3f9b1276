/** How long a process that died waits before it is started again. Pure. */

const shortest = 100;
const longest = 10_000;
/** One that lived so long has come up, and its death is a new one. */
const cameUpMs = 3_000;

/**
 * @param previous the last wait in ms, or null when there was none
 * @param livedMs how long it then lived
 * @returns ms
 */
export function getRestartDelay(previous: number | null, livedMs: number): number {
  if (previous === null || livedMs >= cameUpMs) return shortest;
  return Math.min(previous * 2, longest);
}
