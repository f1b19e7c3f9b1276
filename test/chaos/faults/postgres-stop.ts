/** Postgres is stopped as if the power failed, mid-batch, and comes back: nothing that was acknowledged is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { speed } from '../figures.ts';
import { inSeconds, resumed, type Resumed } from '../in-flight.ts';
import { isAlive, type Keeper } from '../keeper.ts';
import { OwnPostgres } from '../own-postgres.ts';
import { statusesOf, SteadyCaller } from '../outage.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';

const resumeWithinMs = 25_000;

export const postgresStop: Fault = {
  name: 'postgres-stop',
  title: 'Postgres stopped in immediate mode, mid-batch, and started again',
  backends: ['embedded', 'redis'],
  run: (options) =>
    OwnPostgres.use(options.say, (server) =>
      Scene.play(options, { workers: 2, databaseUrl: server.url }, (scene, keeper) =>
        act(scene, keeper, server, options),
      ),
    ),
};

async function act(
  scene: Scene,
  keeper: Keeper,
  server: OwnPostgres,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, say } = options;
  const small = await scene.submit({ lines: 60 });
  const main = await scene.submit(pacedInput(options.lines ?? (short ? 600 : 30_000), short ? 2 : 5));
  say(`${main.input.lines} lines as ${main.id}, and a caller who goes on creating small batches`);
  await scene.running();
  await scene.look();
  const caller = new SteadyCaller(scene, small, 150);
  const resumes: Resumed[] = [];
  const stops = short ? 1 : 3;
  const apiBefore = scene.platform.api;
  let down = 0;
  for (let stroke = 1; stroke <= stops; stroke++) {
    await sleep(random.between(1_000, 2_500));
    const onItsWay = await scene.truth.inFlight();
    await server.stop();
    const downAt = Date.now();
    const downMs = short ? 3_000 : random.between(3_000, 12_000);
    down += downMs;
    await sleep(downMs);
    await server.start();
    const upAt = Date.now();
    say(
      `stroke ${stroke}: stopped Postgres with ${onItsWay.length} pieces of work on their way, ready again after ${upAt - downAt} ms`,
    );
    resumes.push(await resumed(scene, onItsWay, upAt, 4 * resumeWithinMs));
  }
  await caller.stop();
  await scene.ended(180_000);
  const refused = caller.answers.filter(({ status }) => status !== 200);
  const strange = refused.filter(({ status }) => status !== 503);
  const slowest = Math.max(...resumes.map(({ interruptedMs }) => interruptedMs));
  const checks = [
    ...(await scene.verdict()),
    {
      name: 'every acknowledged batch is there and has ended',
      holds: caller.acknowledged.length > 0,
      found: `${caller.acknowledged.length} acknowledged while Postgres came and went; all are among the checked`,
    },
    {
      name: 'what could not be committed was answered with 503 and Retry-After',
      holds:
        refused.length > 0 && strange.length === 0 && refused.every(({ retryAfter }) => retryAfter !== null),
      found: `${statusesOf(caller.answers)}; slowest ${Math.max(...caller.answers.map(({ ms }) => ms))} ms`,
    },
    {
      name: `what was interrupted goes on within ${resumeWithinMs / 1_000} s of Postgres’s return`,
      holds: slowest <= resumeWithinMs,
      found: `${resumes.reduce((sum, { pieces }) => sum + pieces, 0)} pieces of work, the last after ${inSeconds(slowest)}`,
    },
    {
      name: 'the API and the workers outlive it',
      holds: isAlive(apiBefore) && keeper.restarts.length === 0,
      found: `the API ${isAlive(apiBefore) ? 'lives' : 'died'}, ${keeper.restarts.length} workers died`,
    },
  ];
  const figures = {
    stops,
    downMs: down,
    slowestResumeMs: slowest,
    firstWorkMs: Math.max(...resumes.map(({ firstMs }) => firstMs)),
    acknowledged: caller.acknowledged.length,
    ...(await speed(scene)),
  };
  return { checks, tables: [], figures };
}
