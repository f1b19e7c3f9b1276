/** FLUSHALL mid-batch: every job of the queue is created again from Postgres. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { formatSeconds, waitUntilResumed } from '../resume-times.ts';
import type { WorkerRestarter } from '../worker-restarter.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';

const rebuiltWithinMs = 120_000;

export const redisFlush: Fault = {
  name: 'redis-flush',
  title: 'Redis emptied mid-batch',
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
  const lines = options.lines ?? (short ? 600 : 30_000);
  const slow = inputWithChunkSeconds(lines, short ? 2 : 6);
  await deployment.submit(slow);
  await deployment.submit(slow);
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  let slowest = 0;
  let lost = 0;
  const flushes = short ? 1 : 2;
  for (let round = 1; round <= flushes; round++) {
    await sleep(random.between(500, 2_000));
    // Queued chunks, running chunks, and a plan that is still in the queue.
    const fresh = await deployment.submit({ lines: 60 });
    const before = await deployment.database.listPendingWork();
    const at = Date.now();
    await deployment.redis!.flush();
    print(
      `round ${round}: emptied Redis with ${before.length} pieces of work pending, ${fresh.id} just created`,
    );
    const { lastMs } = await waitUntilResumed(deployment, before, at, rebuiltWithinMs);
    slowest = Math.max(slowest, lastMs);
    lost += before.length;
  }
  await deployment.waitUntilEnded(180_000);
  const checks = [
    ...(await deployment.runChecker()),
    {
      name: `all pending work is requeued within ${rebuiltWithinMs / 1_000} s`,
      holds: slowest <= rebuiltWithinMs,
      found: `${lost} pieces in ${flushes} flushes, the last after ${formatSeconds(slowest)}`,
    },
    {
      name: 'no worker exited',
      holds: restarter.restarts.length === 0,
      found: `${restarter.restarts.length} workers exited`,
    },
  ];
  const figures = {
    flushes,
    pending: lost,
    slowestResumeMs: slowest,
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [], figures };
}
