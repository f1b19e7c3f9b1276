/**
 * The relay publishes committed events: it gives them their positions in the workspaces' feeds, creates their webhook
 * deliveries in the same statement, and then sends a message to every API process. One process is elected. The next
 * one misses and repeats nothing, because an event without a position is still in the table.
 */
import { channel } from 'node:diagnostics_channel';
import type { FeedStore, Lease, LeaseStore } from '#database';
import type { Bus } from '#realtime';
import { feedLagSeconds, type Logger } from '#telemetry';
import { runElectedJob, type ElectedJob } from '../background/leader-election.ts';
import { createLoop } from '../background/loop.ts';

export interface RelayOptions {
  readonly feed: FeedStore;
  readonly leases: LeaseStore;
  readonly bus: Bus;
  readonly log: Logger;
}

/** For tests that end the process between the commit of positions and the message about them. */
const published = channel('millrace:events.published');

/** Finds events without a message: progress of batches, and what was written while the bus was away. */
const pollEveryMs = 500;
const measureEveryMs = 1_000;
/** Events published by one statement. It locks the lease's row, so it has to be short. */
const page = 1_000;

export function startRelay({ feed, leases, bus, log }: RelayOptions): ElectedJob {
  let lease: Lease | null = null;
  let measuredAt = 0;
  const publish = async () => {
    if (performance.now() - measuredAt > measureEveryMs) {
      measuredAt = performance.now();
      feedLagSeconds.set((await feed.getPublishLagMs()) / 1_000);
    }
    await publishAll(feed, lease!, bus);
  };
  const loop = createLoop('relay', pollEveryMs, publish, log);
  const elected = runElectedJob({
    name: 'relay',
    leases,
    log,
    run: async (signal, held) => {
      lease = held;
      await loop.run(signal);
      feedLagSeconds.set(0);
    },
  });
  const subscription = bus.subscribe('events.committed', loop.wake, loop.wake);
  // Without the bus the poll alone drives it.
  subscription.catch(() => {});
  return {
    get lease() {
      return elected.lease;
    },
    async stop() {
      await elected.stop();
      void subscription.then((unsubscribe) => unsubscribe()).catch(() => {});
    },
  };
}

/** Publishes until no committed event is left. Ends when the lease is lost, which its renewal notices too. */
async function publishAll(feed: FeedStore, lease: Lease, bus: Bus): Promise<void> {
  for (;;) {
    const result = await feed.publish(lease, page);
    if (!result) return;
    const { ranges, deliveries } = result;
    if (ranges.length > 0) published.publish({ deliveries });
    if (deliveries > 0) void bus.publish('deliveries.due', {});
    for (const range of ranges) void bus.publish('events.published', range);
    const count = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    if (count < page) return;
  }
}
