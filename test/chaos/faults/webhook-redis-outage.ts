/** Redis is down for a while: events that are committed meanwhile are published and sent by the timers of relay and sender. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { isAlive } from '../worker-restarter.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import { WebhookMonitor } from '../webhook-monitor.ts';

export const webhookRedisOutage: Fault = {
  name: 'webhook-redis-outage',
  title: 'Redis down while batches are cancelled and their webhooks are sent',
  backends: ['redis'],
  run: (options) =>
    WebhookMonitor.use((monitor) =>
      Deployment.use(options, { workers: 2, env: monitor.env }, (deployment) =>
        runFault(deployment, monitor, options),
      ),
    ),
};

async function runFault(
  deployment: Deployment,
  monitor: WebhookMonitor,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, print } = options;
  const { platform, database } = deployment;
  const redis = deployment.redis!;
  const downMs = short ? 6_000 : 20_000;
  await monitor.register(platform.client);
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 800 : 20_000), short ? 2 : 4));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await redis.kill();
  const downAt = Date.now();
  const before = monitor.count;
  const ends: Record<string, string> = {};
  // Without a queue no batch is planned; a cancellation needs only Postgres.
  while (Date.now() - downAt < downMs) {
    const { id } = await deployment.submit({ lines: 20 });
    await platform.client.batches.cancel(id);
    ends[id] = 'cancelled';
    await sleep(300);
  }
  const meanwhile = monitor.count - before;
  const { events } = await database.one<{ events: number }>(
    `select count(*) as events from events where created_at > $1 and created_at < now() - interval '2 s'`,
    [new Date(downAt)],
  );
  await redis.start();
  print(`Redis was down for ${Date.now() - downAt} ms: ${events} events, ${meanwhile} requests meanwhile`);
  await deployment.waitUntilEnded(180_000);
  const { checks, figures } = await monitor.checks(database, 0);
  const invariants = await deployment.runChecker({ ends, secrets: monitor.signingSecrets });
  const ownChecks = [
    {
      name: 'events that are committed while Redis is down are sent while it is down',
      holds: events > 0 && meanwhile >= events,
      found: `${events} events older than 2 s, ${meanwhile} requests`,
    },
    { name: 'the API survives', holds: isAlive(platform.api), found: 'its process runs' },
  ];
  return {
    checks: [...invariants, ...checks, ...ownChecks],
    tables: [],
    figures: { downMs, eventsWhileDown: events, ...figures },
  };
}
