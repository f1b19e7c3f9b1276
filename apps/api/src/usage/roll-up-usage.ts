/**
 * Sums the usage of attempts by the hour. Each page is one statement over few rows, so its cost does not grow with the
 * history. When a process crashes the next one continues, and nothing is counted twice.
 */
import type { UsageStore } from '#database';

/** Attempts per statement. */
const page = 1_000;

/** Rolls up until nothing is left. */
export async function rollUpUsage(usage: Pick<UsageStore, 'rollUp'>): Promise<void> {
  while ((await usage.rollUp(page)) === page);
}
