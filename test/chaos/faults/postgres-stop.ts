/** Stops Postgres in immediate mode mid-batch and starts it again: nothing that was acknowledged is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { formatSeconds, waitUntilResumed, type ResumeTimes } from '../resume-times.ts';
import { isAlive, type WorkerRestarter } from '../worker-restarter.ts';
import { DedicatedPostgres } from '../dedicated-postgres.ts';
import { countStatuses, BatchCaller } from '../batch-caller.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';

const resumeWithinMs = 25_000;

export const postgresStop: Fault = {
  name: 'postgres-stop',
  title: 'Postgres stopped in immediate mode, mid-batch, and started again',
  backends: ['embedded', 'redis'],
  run: (options) =>
    DedicatedPostgres.use(options.print, (server) =>
      Deployment.use(options, { workers: 2, databaseUrl: server.url }, (deployment, restarter) =>
        runFault(deployment, restarter, server, options),
      ),
    ),
};

async function runFault(
  deployment: Deployment,
  restarter: WorkerRestarter,
  server: DedicatedPostgres,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const small = await deployment.submit({ lines: 60 });
  const main = await deployment.submit(
    inputWithChunkSeconds(options.lines ?? (short ? 600 : 30_000), short ? 2 : 5),
  );
  print(`${main.input.lines} lines as ${main.id}, and a caller that creates small batches`);
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const caller = new BatchCaller(deployment, small, 150);
  const resumes: ResumeTimes[] = [];
  const stops = short ? 1 : 3;
  const apiBefore = deployment.platform.api;
  let down = 0;
  for (let round = 1; round <= stops; round++) {
    await sleep(random.between(1_000, 2_500));
    const pending = await deployment.database.listPendingWork();
    await server.stop();
    const downAt = Date.now();
    const downMs = short ? 3_000 : random.between(3_000, 12_000);
    down += downMs;
    await sleep(downMs);
    await server.start();
    const upAt = Date.now();
    print(
      `round ${round}: stopped Postgres with ${pending.length} pieces of work pending; ready again after ${upAt - downAt} ms`,
    );
    resumes.push(await waitUntilResumed(deployment, pending, upAt, 4 * resumeWithinMs));
  }
  await caller.stop();
  await deployment.waitUntilEnded(180_000);
  const refused = caller.answers.filter(({ status }) => status !== 200);
  const unexpected = refused.filter(({ status }) => status !== 503);
  const slowest = Math.max(...resumes.map(({ interruptedMs }) => interruptedMs));
  const checks = [
    ...(await deployment.runChecker()),
    {
      name: 'every acknowledged batch exists and has ended',
      holds: caller.acknowledged.length > 0,
      found: `${caller.acknowledged.length} acknowledged during the run; all are checked`,
    },
    {
      name: 'a request that could not commit was answered with 503 and Retry-After',
      holds:
        refused.length > 0 &&
        unexpected.length === 0 &&
        refused.every(({ retryAfter }) => retryAfter !== null),
      found: `${countStatuses(caller.answers)}; slowest ${Math.max(...caller.answers.map(({ ms }) => ms))} ms`,
    },
    {
      name: `interrupted work is resumed within ${resumeWithinMs / 1_000} s after Postgres is back`,
      holds: slowest <= resumeWithinMs,
      found: `${resumes.reduce((sum, { pieces }) => sum + pieces, 0)} pieces of work, the last after ${formatSeconds(slowest)}`,
    },
    {
      name: 'the API and the workers survive',
      holds: isAlive(apiBefore) && restarter.restarts.length === 0,
      found: `the API ${isAlive(apiBefore) ? 'runs' : 'exited'}, ${restarter.restarts.length} workers exited`,
    },
  ];
  const figures = {
    stops,
    downMs: down,
    slowestResumeMs: slowest,
    firstWorkMs: Math.max(...resumes.map(({ firstMs }) => firstMs)),
    acknowledged: caller.acknowledged.length,
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [], figures };
}
