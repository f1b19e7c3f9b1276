/** Redis is killed mid-batch, stays away for 20 s and comes back with its append-only file. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { speed } from '../figures.ts';
import { inSeconds, resumed } from '../in-flight.ts';
import { isAlive, type Keeper } from '../keeper.ts';
import { statusesOf, SteadyCaller } from '../outage.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';

const resumeWithinMs = 25_000;

export const redisRestart: Fault = {
  name: 'redis-restart',
  title: 'Redis killed mid-batch, and started again on its append-only file',
  backends: ['redis'],
  run: (options) => Scene.play(options, { workers: 2 }, (scene, keeper) => act(scene, keeper, options)),
};

async function act(scene: Scene, keeper: Keeper, options: FaultOptions): Promise<FaultResult> {
  const { short, random, say } = options;
  const redis = scene.redis!;
  const downMs = short ? 6_000 : 20_000;
  const small = await scene.submit({ lines: 60 });
  const main = await scene.submit(pacedInput(options.lines ?? (short ? 800 : 30_000), short ? 2 : 6));
  say(`${main.input.lines} lines as ${main.id}, and a caller who goes on creating small batches`);
  await scene.running();
  await scene.look();
  await sleep(random.between(300, 1_500));
  const caller = new SteadyCaller(scene, small, short ? 300 : 1_000);
  await redis.kill();
  const downAt = Date.now();
  await sleep(downMs);
  await caller.stop();
  const before = await scene.truth.inFlight();
  await redis.start();
  const upAt = Date.now();
  say(`Redis was away for ${upAt - downAt} ms; ${before.length} pieces of work were on their way`);
  const { interruptedMs, firstMs, pieces } = await resumed(scene, before, upAt, 4 * resumeWithinMs);
  await scene.ended(180_000);
  const checks = [
    ...(await scene.verdict()),
    {
      name: 'requests that commit are answered with 200 while Redis is away',
      holds: caller.answers.length > 0 && caller.answers.every(({ status }) => status === 200),
      found: `${statusesOf(caller.answers)}; slowest ${Math.max(...caller.answers.map(({ ms }) => ms))} ms`,
    },
    {
      name: `what was interrupted goes on within ${resumeWithinMs / 1_000} s of its return`,
      holds: interruptedMs <= resumeWithinMs,
      found: `${pieces} pieces of work, the last after ${inSeconds(interruptedMs)}`,
    },
    {
      name: 'the API and the workers outlive it',
      holds: isAlive(scene.platform.api) && keeper.restarts.length === 0,
      found: `${keeper.restarts.length} workers died`,
    },
  ];
  const figures = {
    downMs: upAt - downAt,
    onTheirWay: pieces,
    slowestResumeMs: interruptedMs,
    firstWorkMs: firstMs,
    ...(await speed(scene)),
  };
  return { checks, tables: [], figures };
}
