/**
 * Deletes rows that are older than their retention: webhook deliveries, events, attempts of tasks. Before that it ends
 * deliveries whose endpoint is gone, so that they expire too.
 */
import type { RetentionStore } from '#database';
import type { Logger } from '#telemetry';

export interface DeleteExpiredOptions {
  readonly retention: RetentionStore;
  readonly deliveryDays: number;
  readonly eventDays: number;
  readonly attemptDays: number;
  readonly log: Logger;
}

/** Rows per statement, and statements per run: a backlog is deleted without a long lock. */
const page = 1_000;
const pages = 20;

export async function deleteExpired({
  retention,
  deliveryDays,
  eventDays,
  attemptDays,
  log,
}: DeleteExpiredOptions): Promise<void> {
  await retention.failStrayDeliveries();
  const deliveries = await inPages(() => retention.deleteExpiredDeliveries(deliveryDays, page));
  const events = await inPages(() => retention.deleteExpiredEvents(eventDays, page));
  const attempts = await inPages(() => retention.deleteExpiredAttempts(attemptDays, page));
  if (deliveries + events + attempts > 0) log.info({ deliveries, events, attempts }, 'deleted expired rows');
}

async function inPages(step: () => Promise<number>): Promise<number> {
  let total = 0;
  for (let nth = 0; nth < pages; nth++) {
    const deleted = await step();
    total += deleted;
    if (deleted < page) break;
  }
  return total;
}
