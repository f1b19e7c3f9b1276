/** Redis is killed and stays away: what Postgres commits meanwhile is still told, by the clocks of relay and sender. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { isAlive } from '../keeper.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';
import { WebhookWatch } from '../webhook-watch.ts';

export const webhookRedisOutage: Fault = {
  name: 'webhook-redis-outage',
  title: 'Redis gone while batches are cancelled and webhooks tell of it',
  backends: ['redis'],
  run: (options) =>
    WebhookWatch.during((watch) =>
      Scene.play(options, { workers: 2, env: watch.env }, (scene) => act(scene, watch, options)),
    ),
};

async function act(scene: Scene, watch: WebhookWatch, options: FaultOptions): Promise<FaultResult> {
  const { short, say } = options;
  const { platform, truth } = scene;
  const redis = scene.redis!;
  const downMs = short ? 6_000 : 20_000;
  await watch.register(platform.client);
  await scene.submit(pacedInput(options.lines ?? (short ? 800 : 20_000), short ? 2 : 4));
  await scene.running();
  await scene.look();
  await redis.kill();
  const downAt = Date.now();
  const before = watch.count;
  const ends: Record<string, string> = {};
  // Nothing is planned without a queue; a cancellation needs Postgres alone.
  while (Date.now() - downAt < downMs) {
    const { id } = await scene.submit({ lines: 20 });
    await platform.client.batches.cancel(id);
    ends[id] = 'cancelled';
    await sleep(300);
  }
  const meanwhile = watch.count - before;
  const { facts } = await truth.one<{ facts: number }>(
    `select count(*) as facts from events where created_at > $1 and created_at < now() - interval '2 s'`,
    [new Date(downAt)],
  );
  await redis.start();
  say(`Redis was away for ${Date.now() - downAt} ms: ${facts} facts, ${meanwhile} requests meanwhile`);
  await scene.ended(180_000);
  const { checks, figures } = await watch.checks(truth, 0);
  const verdict = await scene.verdict({ ends, secrets: watch.signingSecrets });
  const own = [
    {
      name: 'what is committed while Redis is away is told while it is away',
      holds: facts > 0 && meanwhile >= facts,
      found: `${facts} facts older than 2 s, ${meanwhile} requests`,
    },
    { name: 'the API outlives it', holds: isAlive(platform.api), found: 'asked of its process' },
  ];
  return { checks: [...verdict, ...checks, ...own], tables: [], figures: { downMs, facts, ...figures } };
}
