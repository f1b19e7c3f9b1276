/**
 * The relay: stamps committed facts with their places in the workspaces' feeds, makes their webhook deliveries in the
 * same statement, and tells every API process. One
 * process is elected; who follows it loses nothing and repeats nothing, because what is unstamped is in the table.
 */
import { channel } from 'node:diagnostics_channel';
import type { FeedStore, Lease, LeaseStore } from '#database';
import type { Bus } from '#realtime';
import { feedLag, type Logger } from '#telemetry';
import { runElectedJob, type ElectedJob } from '../background/leader-election.ts';
import { createLoop } from '../background/loop.ts';

export interface RelayOptions {
  readonly feed: FeedStore;
  readonly leases: LeaseStore;
  readonly bus: Bus;
  readonly log: Logger;
}

/** Published between the commit of stamps and the news of them, for tests that end the process right there. */
const stamped = channel('millrace:facts.stamped');

/** For facts that nobody announced: milestones, and what was written while the bus was away. */
const lookEveryMs = 500;
const measureEveryMs = 1_000;
/** Facts stamped by one statement, which holds the lease's row meanwhile. */
const page = 1_000;

export function startRelay({ feed, leases, bus, log }: RelayOptions): ElectedJob {
  let lease: Lease | null = null;
  let measured = 0;
  const round = async () => {
    if (performance.now() - measured > measureEveryMs) {
      measured = performance.now();
      feedLag.set((await feed.getPublishLagMs()) / 1_000);
    }
    await publishAll(feed, lease!, bus);
  };
  const stamping = createLoop('relay', lookEveryMs, round, log);
  const elected = runElectedJob({
    name: 'relay',
    leases,
    log,
    run: async (signal, held) => {
      lease = held;
      await stamping.run(signal);
      feedLag.set(0);
    },
  });
  const listening = bus.subscribe('facts.written', stamping.wake, stamping.wake);
  // Without the bus the clock alone drives it.
  listening.catch(() => {});
  return {
    get lease() {
      return elected.lease;
    },
    async stop() {
      await elected.stop();
      void listening.then((unsubscribe) => unsubscribe()).catch(() => {});
    },
  };
}

/** One round: stamps until nothing waits. A lease that is lost ends it; the renewal will notice too. */
async function publishAll(feed: FeedStore, lease: Lease, bus: Bus): Promise<void> {
  for (;;) {
    const stamping = await feed.publish(lease, page);
    if (!stamping) return;
    const { ranges, deliveries } = stamping;
    if (ranges.length > 0) stamped.publish({ deliveries });
    if (deliveries > 0) void bus.publish('deliveries.due', {});
    for (const range of ranges) void bus.publish('facts.stamped', range);
    const count = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    if (count < page) return;
  }
}
