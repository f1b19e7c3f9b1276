/** The relay dies after the commit of facts: before it has stamped them, and between their deliveries and the news. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { Scene } from '../scene.ts';
import { WebhookWatch } from '../webhook-watch.ts';

const dieAfterStamp = ['--import', fileURLToPath(new URL('../preload/die-after-stamp.js', import.meta.url))];

export const webhookRelayKill: Fault = {
  name: 'webhook-relay-kill',
  title: 'the relay killed between a fact’s commit and its delivery',
  backends: ['embedded', 'redis'],
  run: (options) =>
    WebhookWatch.during((watch) =>
      Scene.play(options, { workers: 1, env: watch.env }, (scene) => act(scene, watch, options)),
    ),
};

async function act(scene: Scene, watch: WebhookWatch, options: FaultOptions): Promise<FaultResult> {
  const { short, random, say } = options;
  const { platform, truth } = scene;
  await watch.register(platform.client);
  await scene.submit({ lines: 800, delayMs: 3_000 });
  await scene.running();
  await scene.look();
  const stamped: Check[] = [];
  const strokes = short ? 2 : 6;
  for (let stroke = 1; stroke <= strokes; stroke++) {
    await swap(scene, dieAfterStamp);
    await scene.submit({ lines: 3, delayMs: 1_000 });
    const exited = once(platform.api.child, 'exit');
    platform.api.child.kill('SIGUSR2');
    // By the end of that batch, or by whatever other fact comes first.
    await exited;
    const { made, tried } = await truth.one<{ made: number; tried: number }>(
      // The last stamp's: they were made in one transaction.
      `select count(*) as made, count(*) filter (where attempt_count > 0) as tried
       from deliveries where created_at = (select max(created_at) from deliveries)`,
    );
    say(`stroke ${stroke}: killed with ${made} deliveries made and nobody told`);
    stamped.push({
      name: `stroke ${stroke}: the relay died between the deliveries and the news of them`,
      holds: made > 0 && tried === 0,
      found: `${made} made, ${tried} tried`,
    });
    // What the workers commit while there is no relay waits in Postgres.
    await sleep(random.between(0, 1_500));
    await platform.restartApi();
    await sleep(random.between(0, 300));
  }
  await scene.ended(120_000);
  const { checks, figures } = await watch.checks(truth, 2 * strokes);
  const verdict = await scene.verdict({ secrets: watch.signingSecrets });
  return {
    checks: [...verdict, ...stamped, ...checks],
    tables: [],
    figures: { relayKills: 2 * strokes, ...figures },
  };
}

/** Another kill -9, then an API that has a death before it. */
async function swap({ platform }: Scene, nodeArgs: readonly string[]): Promise<void> {
  const { child } = platform.api;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await platform.restartApi(nodeArgs);
}
