/** Kills Redis mid-batch and starts it again 20 s later (6 s with `--short`) with its append-only file. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { formatSeconds, waitUntilResumed } from '../resume-times.ts';
import { isAlive, type WorkerRestarter } from '../worker-restarter.ts';
import { countStatuses, BatchCaller } from '../batch-caller.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';

const resumeWithinMs = 25_000;

export const redisRestart: Fault = {
  name: 'redis-restart',
  title: 'Redis killed mid-batch, and started again with its append-only file',
  backends: ['redis'],
  run: (options) =>
    Deployment.use(options, { workers: 2 }, (deployment, restarter) =>
      runFault(deployment, restarter, options),
    ),
};

async function runFault(
  deployment: Deployment,
  restarter: WorkerRestarter,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const redis = deployment.redis!;
  const downMs = short ? 6_000 : 20_000;
  const small = await deployment.submit({ lines: 60 });
  const main = await deployment.submit(
    inputWithChunkSeconds(options.lines ?? (short ? 800 : 30_000), short ? 2 : 6),
  );
  print(`${main.input.lines} lines as ${main.id}, and a caller that creates small batches`);
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await sleep(random.between(300, 1_500));
  const caller = new BatchCaller(deployment, small, short ? 300 : 1_000);
  await redis.kill();
  const downAt = Date.now();
  await sleep(downMs);
  await caller.stop();
  const before = await deployment.database.listPendingWork();
  await redis.start();
  const upAt = Date.now();
  print(`Redis was down for ${upAt - downAt} ms; ${before.length} pieces of work were pending`);
  const { interruptedMs, firstMs, pieces } = await waitUntilResumed(
    deployment,
    before,
    upAt,
    4 * resumeWithinMs,
  );
  await deployment.waitUntilEnded(180_000);
  const checks = [
    ...(await deployment.runChecker()),
    {
      name: 'batches are created with 200 while Redis is down',
      holds: caller.answers.length > 0 && caller.answers.every(({ status }) => status === 200),
      found: `${countStatuses(caller.answers)}; slowest ${Math.max(...caller.answers.map(({ ms }) => ms))} ms`,
    },
    {
      name: `interrupted work is resumed within ${resumeWithinMs / 1_000} s after Redis is back`,
      holds: interruptedMs <= resumeWithinMs,
      found: `${pieces} pieces of work, the last after ${formatSeconds(interruptedMs)}`,
    },
    {
      name: 'the API and the workers survive',
      holds: isAlive(deployment.platform.api) && restarter.restarts.length === 0,
      found: `${restarter.restarts.length} workers exited`,
    },
  ];
  const figures = {
    downMs: upAt - downAt,
    pending: pieces,
    slowestResumeMs: interruptedMs,
    firstWorkMs: firstMs,
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [], figures };
}
