/** Two API processes relay and send; one of them is killed with -9 in turn while batches go on telling what happens. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedProcess } from '../../support/platform.ts';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';
import { WebhookWatch } from '../webhook-watch.ts';

export const webhookApiKill: Fault = {
  name: 'webhook-api-kill',
  title: 'kill -9 of one of two API processes while webhooks are sent',
  backends: ['embedded', 'redis'],
  run: (options) =>
    WebhookWatch.during((watch) =>
      Scene.play(options, { workers: 2, env: watch.env }, (scene) => act(scene, watch, options)),
    ),
};

async function act(scene: Scene, watch: WebhookWatch, options: FaultOptions): Promise<FaultResult> {
  const { short, random, say } = options;
  const { platform } = scene;
  await watch.register(platform.client);
  let second: ManagedProcess = await platform.addApi();
  await scene.submit(pacedInput(options.lines ?? (short ? 800 : 20_000), short ? 2 : 4));
  await scene.running();
  await scene.look();
  const strokes = short ? 4 : 12;
  for (let stroke = 1; stroke <= strokes; stroke++) {
    for (let n = 0; n < 4; n++) await scene.submit({ lines: random.between(1, 60) });
    await sleep(random.between(0, 400));
    // The first of them holds the relay; whoever is killed, the other one goes on.
    if (stroke % 2 === 1) {
      await kill(platform.api);
      await sleep(random.between(200, 3_000));
      await platform.restartApi();
    } else {
      await kill(second);
      await sleep(random.between(200, 1_000));
      second = await platform.addApi();
    }
    say(
      `stroke ${stroke}: ${stroke % 2 === 1 ? 'first' : 'second'} API killed; ${watch.count} requests so far`,
    );
  }
  await scene.ended(180_000);
  const { checks, figures } = await watch.checks(scene.truth, strokes);
  const verdict = await scene.verdict({ secrets: watch.signingSecrets });
  return { checks: [...verdict, ...checks], tables: [], figures: { apiKills: strokes, ...figures } };
}

async function kill({ child }: ManagedProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
