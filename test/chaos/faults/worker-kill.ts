/** Kills workers while they run chunks: no record is lost or duplicated, and the chunks are resumed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../../support/platform.ts';
import type { Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { isAlive } from '../worker-restarter.ts';
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

export const workerKill: Fault = {
  name: 'worker-kill',
  title: 'kill -9 random workers that run a chunk',
  backends: ['embedded', 'redis'],
  canLoseFence: true,
  run(options) {
    const workerNodeArgs = options.withoutFence ? removeFenceArgs : [];
    const settings = { workers, workerNodeArgs, env: { WORKER_SLOTS: String(slots) } };
    return Deployment.use(options, settings, (deployment) => runFault(deployment, options));
  },
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const { short, print, random } = options;
  const lines = options.lines ?? (short ? 10_000 : 50_000);
  const kills = short ? 2 : 5;
  const batch = await deployment.submit(inputWithChunkSeconds(lines, short ? 2 : 8));
  print(`${lines} lines as ${batch.id} on ${workers} workers of ${slots} slots`);
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const late = await LateCommits.open(deployment);
  const interrupted: InterruptedChunk[] = [];
  const meanwhile = async () => {
    await recordResumeTimes(interrupted, deployment);
    await late.send(interrupted);
  };
  try {
    for (let round = 1; round <= kills; round++) {
      await sleep(random.between(500, short ? 1_500 : 4_000));
      const hit = await injectFault(deployment, round, 'killed', async (worker) => {
        worker.child.kill('SIGKILL');
        await waitUntil(() => !isAlive(worker), { what: 'a killed worker to exit', everyMs: 5 });
      });
      interrupted.push(...hit.interrupted);
      await meanwhile();
    }
    await deployment.waitUntilEnded(240_000, meanwhile);
    const checks = [
      ...(await deployment.runChecker()),
      checkResumedInTime(interrupted),
      checkOneChunkPerSlot(interrupted, kills, slots),
      late.toCheck(),
    ];
    const lost = { chunksLost: interrupted.length, slowestResumeMs: getSlowestResumeMs(interrupted) };
    return {
      checks,
      tables: [buildInterruptedTable(interrupted)],
      figures: { lines, kills, ...lost, ...(await measureThroughput(deployment)) },
    };
  } finally {
    await late.close();
  }
}
