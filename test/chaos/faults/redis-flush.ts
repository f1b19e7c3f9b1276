/** FLUSHALL mid-batch: the queue is built again from Postgres, every piece of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { speed } from '../figures.ts';
import { inSeconds, resumed } from '../in-flight.ts';
import type { Keeper } from '../keeper.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';

const rebuiltWithinMs = 120_000;

export const redisFlush: Fault = {
  name: 'redis-flush',
  title: 'Redis emptied mid-batch',
  backends: ['redis'],
  run: (options) => Scene.play(options, { workers: 2 }, (scene, keeper) => act(scene, keeper, options)),
};

async function act(scene: Scene, keeper: Keeper, options: FaultOptions): Promise<FaultResult> {
  const { short, random, say } = options;
  const lines = options.lines ?? (short ? 600 : 30_000);
  const slow = pacedInput(lines, short ? 2 : 6);
  await scene.submit(slow);
  await scene.submit(slow);
  await scene.running();
  await scene.look();
  let slowest = 0;
  let lost = 0;
  const flushes = short ? 1 : 2;
  for (let stroke = 1; stroke <= flushes; stroke++) {
    await sleep(random.between(500, 2_000));
    // Planned work, queued work, running work, and a plan that is still in the queue.
    const fresh = await scene.submit({ lines: 60 });
    const before = await scene.truth.inFlight();
    const at = Date.now();
    await scene.redis!.flush();
    say(
      `stroke ${stroke}: emptied Redis with ${before.length} pieces of work on their way, ${fresh.id} just created`,
    );
    const { lastMs } = await resumed(scene, before, at, rebuiltWithinMs);
    slowest = Math.max(slowest, lastMs);
    lost += before.length;
  }
  await scene.ended(180_000);
  const checks = [
    ...(await scene.verdict()),
    {
      name: `all that was on its way is delivered anew within ${rebuiltWithinMs / 1_000} s`,
      holds: slowest <= rebuiltWithinMs,
      found: `${lost} pieces in ${flushes} flushes, the last after ${inSeconds(slowest)}`,
    },
    {
      name: 'no worker died of it',
      holds: keeper.restarts.length === 0,
      found: `${keeper.restarts.length} workers died`,
    },
  ];
  const figures = { flushes, onTheirWay: lost, slowestResumeMs: slowest, ...(await speed(scene)) };
  return { checks, tables: [], figures };
}
