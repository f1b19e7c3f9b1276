/**
 * Deletes what is older than it is to be kept: the log of webhook deliveries, the feeds' events, tries at tasks. Before
 * that it ends deliveries that wait for nobody, so that they grow old too.
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

/** Rows of one statement, and statements of one round: a backlog is worked off without a long lock. */
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
  if (deliveries + events + attempts > 0)
    log.info({ deliveries, events, attempts }, 'deleted what is no longer kept');
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
