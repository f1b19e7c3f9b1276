/** The delay before a process that exited is restarted: 0.1 s, then doubled up to 10 s. */

const minDelayMs = 100;
const maxDelayMs = 10_000;
/** A process that ran this long had started: its exit begins a new series of delays. */
const startedMs = 3_000;

/**
 * @param previous the last delay in ms, or null when there was none
 * @param ranMs how long the process then ran
 * @returns ms
 */
export function getRestartDelay(previous: number | null, ranMs: number): number {
  if (previous === null || ranMs >= startedMs) return minDelayMs;
  return Math.min(previous * 2, maxDelayMs);
}
