/**
 * Sums what attempts have used by the hour. What waits is few rows and a page is one statement, so it costs the same
 * whatever ran before; where a process dies, the next one goes on, and nothing is counted twice.
 */
import type { UsageStore } from '#database';

/** Attempts of one statement. */
const page = 1_000;

/** One round: until nothing waits. */
export async function rollUpUsage(usage: Pick<UsageStore, 'rollUp'>): Promise<void> {
  while ((await usage.rollUp(page)) === page);
}
