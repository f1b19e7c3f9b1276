/** Redis is killed and stays away: what Postgres commits meanwhile is still told, by the clocks of relay and sender. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { isAlive } from '../worker-restarter.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import { WebhookMonitor } from '../webhook-monitor.ts';

export const webhookRedisOutage: Fault = {
  name: 'webhook-redis-outage',
  title: 'Redis gone while batches are cancelled and webhooks tell of it',
  backends: ['redis'],
  run: (options) =>
    WebhookMonitor.during((watch) =>
      Deployment.use(options, { workers: 2, env: watch.env }, (deployment) =>
        runFault(deployment, watch, options),
      ),
    ),
};

async function runFault(
  deployment: Deployment,
  watch: WebhookMonitor,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, print } = options;
  const { platform, database } = deployment;
  const redis = deployment.redis!;
  const downMs = short ? 6_000 : 20_000;
  await watch.register(platform.client);
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 800 : 20_000), short ? 2 : 4));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await redis.kill();
  const downAt = Date.now();
  const before = watch.count;
  const ends: Record<string, string> = {};
  // Nothing is planned without a queue; a cancellation needs Postgres alone.
  while (Date.now() - downAt < downMs) {
    const { id } = await deployment.submit({ lines: 20 });
    await platform.client.batches.cancel(id);
    ends[id] = 'cancelled';
    await sleep(300);
  }
  const meanwhile = watch.count - before;
  const { facts } = await database.one<{ facts: number }>(
    `select count(*) as facts from events where created_at > $1 and created_at < now() - interval '2 s'`,
    [new Date(downAt)],
  );
  await redis.start();
  print(`Redis was away for ${Date.now() - downAt} ms: ${facts} facts, ${meanwhile} requests meanwhile`);
  await deployment.waitUntilEnded(180_000);
  const { checks, figures } = await watch.checks(database, 0);
  const invariants = await deployment.runChecker({ ends, secrets: watch.signingSecrets });
  const own = [
    {
      name: 'what is committed while Redis is away is told while it is away',
      holds: facts > 0 && meanwhile >= facts,
      found: `${facts} facts older than 2 s, ${meanwhile} requests`,
    },
    { name: 'the API outlives it', holds: isAlive(platform.api), found: 'asked of its process' },
  ];
  return { checks: [...invariants, ...checks, ...own], tables: [], figures: { downMs, facts, ...figures } };
}
