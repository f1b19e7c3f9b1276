/** Stops a worker (SIGSTOP) while it runs chunks and continues it (SIGCONT) after other workers have taken them over. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { LateCommits } from '../late-commits.ts';
import {
  recordResumeTimes,
  getSlowestResumeMs,
  buildInterruptedTable,
  checkOneChunkPerSlot,
  checkResumedInTime,
  type InterruptedChunk,
} from '../interrupted-chunks.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import { injectFault } from '../inject-fault.ts';
import { removeFenceArgs } from '../remove-fence.ts';

const workers = 3;
const slots = 2;

export const workerFreeze: Fault = {
  name: 'worker-freeze',
  title: 'SIGSTOP to a worker that runs a chunk, then SIGCONT',
  backends: ['embedded', 'redis'],
  canLoseFence: true,
  run(options) {
    const workerNodeArgs = options.withoutFence ? removeFenceArgs : [];
    const settings = { workers, workerNodeArgs, env: { WORKER_SLOTS: String(slots) } };
    return Deployment.use(options, settings, (deployment) => runFault(deployment, options));
  },
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const { short, print } = options;
  const frozenMs = short ? 11_000 : 30_000;
  // A chunk is one call: when the worker continues, it has the answer and attempts the commit.
  const lines = options.lines ?? 5_000;
  const batch = await deployment.submit(inputWithChunkSeconds(lines, short ? 4 : 9));
  print(`${lines} lines as ${batch.id} on ${workers} workers of ${slots} slots`);
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  await sleep(options.random.between(200, 1_500));
  const { worker, interrupted } = await injectFault(
    deployment,
    1,
    'stopped',
    ({ child }) => void child.kill('SIGSTOP'),
  );
  await sleep(frozenMs);
  await recordResumeTimes(interrupted, deployment);
  const thawedAt = Date.now();
  worker.child.kill('SIGCONT');
  print(`continued it after ${frozenMs / 1_000} s`);

  const late = await LateCommits.open(deployment);
  const meanwhile = async () => {
    await recordResumeTimes(interrupted, deployment);
    await late.send(interrupted);
  };
  try {
    await deployment.waitUntilEnded(180_000, meanwhile);
    const checks = [
      ...(await deployment.runChecker()),
      checkResumedInTime(interrupted),
      checkOneChunkPerSlot(interrupted, 1, slots),
      late.toCheck(),
      await checkWorksAgain(deployment, interrupted, thawedAt),
    ];
    const dropped =
      worker.output().match(/another attempt has claimed this chunk|job interrupted/g)?.length ?? 0;
    const lost = {
      chunksLost: interrupted.length,
      slowestResumeMs: getSlowestResumeMs(interrupted),
      lateResultsDroppedByTheWorker: dropped,
    };
    const figures = { lines, frozenMs, ...lost, ...(await measureThroughput(deployment)) };
    return { checks, tables: [buildInterruptedTable(interrupted)], figures };
  } finally {
    await late.close();
  }
}

async function checkWorksAgain(
  { database }: Deployment,
  interrupted: readonly InterruptedChunk[],
  thawedAt: number,
): Promise<Check> {
  const { chunks, first } = await database.one<{ chunks: number; first: Date | null }>(
    'select count(*) as chunks, min(started_at) as first from attempts where worker_id = $1 and started_at > $2',
    [interrupted[0]!.workerId, new Date(thawedAt)],
  );
  return {
    name: 'the worker claims chunks again after SIGCONT',
    holds: chunks > 0,
    found: first
      ? `${chunks} chunks, the first after ${((first.getTime() - thawedAt) / 1_000).toFixed(1)} s`
      : 'none',
  };
}
