/** Workers are killed in the middle of chunks whose lines cost money: what was finished is not paid for again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../../support/platform.ts';
import { recordCallsArgs, readUpstreamCalls, type UpstreamCalls } from '../upstream-calls.ts';
import type { Check, Fault, FaultOptions, FaultResult } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { isAlive } from '../worker-restarter.ts';
import {
  recordResumeTimes,
  getSlowestResumeMs,
  buildInterruptedTable,
  checkResumedInTime,
  type InterruptedChunk,
} from '../interrupted-chunks.ts';
import { Deployment } from '../deployment.ts';
import { injectFault } from '../inject-fault.ts';

const workers = 2;
const slots = 2;
const linesPerCall = 2;
/** Calls that a chunk has under way: the sandbox's. */
const callsAtOnce = 4;
/** Rounds of calls that a kill may cost: those in flight, and those that were being kept in that moment. */
const roundsLost = 3;

export const paidLines: Fault = {
  name: 'paid-lines',
  title: 'kill -9 workers in the middle of chunks whose lines cost money',
  backends: ['embedded', 'redis'],
  run: (options) =>
    Deployment.use(
      options,
      { workers, workerNodeArgs: recordCallsArgs, env: { WORKER_SLOTS: String(slots) } },
      (deployment) => runFault(deployment, options),
    ),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const { short, random } = options;
  const lines = options.lines ?? (short ? 1_000 : 4_000);
  const kills = short ? 2 : 6;
  await deployment.submit({ lines, delayMs: 400, paid: { linesPerCall } });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const interrupted: InterruptedChunk[] = [];
  const meanwhile = () => recordResumeTimes(interrupted, deployment);
  for (let round = 1; round <= kills; round++) {
    await sleep(random.between(800, 2_000));
    const struck = await injectFault(deployment, round, 'killed', async (worker) => {
      worker.child.kill('SIGKILL');
      await waitUntil(() => !isAlive(worker), { what: 'a killed worker to be dead', everyMs: 5 });
    });
    interrupted.push(...struck.interrupted);
    await meanwhile();
  }
  await deployment.waitUntilEnded(180_000, meanwhile);
  const calls = await readUpstreamCalls(deployment.platform.home);
  const checks = [
    ...(await deployment.runChecker()),
    checkResumedInTime(interrupted),
    ...checkUpstreamCalls(calls, lines - deployment.submitted[0]!.input.badLines, kills),
  ];
  const figures = {
    lines,
    kills,
    linesPaidTwice: calls.twice,
    slowestResumeMs: getSlowestResumeMs(interrupted),
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [buildInterruptedTable(interrupted)], figures };
}

function checkUpstreamCalls(
  { sent, lines, twice, resentAfterCheckpoint, kept }: UpstreamCalls,
  due: number,
  kills: number,
): Check[] {
  const most = kills * slots * callsAtOnce * linesPerCall * roundsLost;
  return [
    {
      name: 'no line that was kept is paid for again',
      holds: resentAfterCheckpoint === 0 && kept >= due,
      found: `${resentAfterCheckpoint} of ${kept} lines that were kept`,
    },
    {
      name: 'every good line was sent upstream, and again only what was in flight',
      holds: lines === due && twice <= most,
      found: `${sent} sendings of ${lines} lines; ${twice} lines sent again after ${kills} kills, ${most} at most`,
    },
  ];
}
