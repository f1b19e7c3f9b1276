/** Kills workers while they run chunks of billed lines: a line that was checkpointed is not sent upstream again. */
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
/** Concurrent calls of one chunk on the sandbox. */
const callsAtOnce = 4;
/** Calls per call slot that a kill may repeat: those in flight, and those that were being checkpointed. */
const roundsLost = 3;

export const paidLines: Fault = {
  name: 'paid-lines',
  title: 'kill -9 workers while they run chunks of billed lines',
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
  const lines = options.lines ?? (short ? 500 : 4_000);
  const kills = short ? 2 : 6;
  await deployment.submit({ lines, delayMs: 400, paid: { linesPerCall } });
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const interrupted: InterruptedChunk[] = [];
  const meanwhile = () => recordResumeTimes(interrupted, deployment);
  for (let round = 1; round <= kills; round++) {
    await sleep(random.between(800, 2_000));
    const hit = await injectFault(deployment, round, 'killed', async (worker) => {
      worker.child.kill('SIGKILL');
      await waitUntil(() => !isAlive(worker), { what: 'a killed worker to exit', everyMs: 5 });
    });
    interrupted.push(...hit.interrupted);
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
    linesPaidTwice: calls.sentTwice,
    slowestResumeMs: getSlowestResumeMs(interrupted),
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [buildInterruptedTable(interrupted)], figures };
}

function checkUpstreamCalls(
  { sent, lines, sentTwice, resentAfterCheckpoint, checkpointed }: UpstreamCalls,
  validLines: number,
  kills: number,
): Check[] {
  const most = kills * slots * callsAtOnce * linesPerCall * roundsLost;
  return [
    {
      name: 'no checkpointed line is sent upstream again',
      holds: resentAfterCheckpoint === 0 && checkpointed >= validLines,
      found: `${resentAfterCheckpoint} of ${checkpointed} checkpointed lines`,
    },
    {
      name: 'every valid line is sent upstream; only lines in flight are sent again',
      holds: lines === validLines && sentTwice <= most,
      found: `${lines} lines sent ${sent} times; ${sentTwice} sent again after ${kills} kills, limit ${most}`,
    },
  ];
}
