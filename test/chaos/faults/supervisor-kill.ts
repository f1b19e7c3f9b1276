/** Kills the supervisor mid-batch and starts it again: it finishes the batch, and no process is left over. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, type ProcessRef } from '../../../deploy/embedded/process-ref.ts';
import type { Check, Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { formatSeconds, waitUntilResumed } from '../resume-times.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import { SupervisedPlatform, supervisedWorkerCount } from '../supervised-platform.ts';

/** Bound on the start, which depends on the speed of the machine: 9 to 17 s on two busy cores. */
const startWithinMs = 30_000;
/** Bound after the start: the lock of a killed worker expires after 6 s, and its replacement has to get ready. */
const resumeWithinMs = 15_000;
const exitWithinMs = 45_000;

interface Round {
  readonly round: number;
  readonly killed: string;
  readonly pending: number;
  /** From the new start: until it printed that it runs, and until the last interrupted chunk was claimed again. */
  readonly runsAfterMs: number;
  readonly resumedAfterMs: number;
  /** Processes of the previous start that still run after the new start, except an adopted database. */
  readonly orphans: number;
  readonly adopted: boolean;
}

export const supervisorKill: Fault = {
  name: 'supervisor-kill',
  title: 'kill -9 the supervisor mid-batch, and start it again',
  backends: ['embedded', 'redis'],
  run: (options) =>
    Deployment.useWith(
      options,
      (servers) => SupervisedPlatform.open(servers),
      (deployment) => runFault(deployment, options),
    ),
};

async function runFault(
  deployment: Deployment<SupervisedPlatform>,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const lines = options.lines ?? (short ? 700 : 30_000);
  const batch = await deployment.submit(inputWithChunkSeconds(lines, short ? 2.5 : 8));
  print(`${lines} lines as ${batch.id} under one supervisor with ${supervisedWorkerCount} workers`);
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const rounds: Round[] = [];
  for (let round = 1; round <= (short ? 2 : 4); round++) {
    await sleep(random.between(500, 2_500));
    // Every second time everything that it had started is killed too, including the database.
    rounds.push(await killAndStart(deployment, round, round % 2 === 0));
  }
  await deployment.waitUntilEnded(240_000);
  const running = await deployment.platform.processes();
  const invariants = await deployment.runChecker({ secrets: deployment.platform.secrets });
  const figures = {
    kills: rounds.length,
    slowestStartMs: Math.round(Math.max(...rounds.map(({ runsAfterMs }) => runsAfterMs))),
    slowestResumeMs: Math.max(...rounds.map(({ resumedAfterMs }) => resumedAfterMs)),
    ...(await measureThroughput(deployment)),
  };
  const checks = [
    ...invariants,
    ...checkRounds(rounds),
    checkProcesses(running),
    await checkNothingLeft(deployment),
  ];
  return { checks, tables: [buildRoundTable(rounds)], figures };
}

async function killAndStart(
  deployment: Deployment<SupervisedPlatform>,
  round: number,
  all: boolean,
): Promise<Round> {
  const { platform, database, options } = deployment;
  const before = await platform.children();
  const pieces = await database.listPendingWork();
  await platform.kill(all);
  await sleep(options.random.between(0, 1_500));
  const startedAt = Date.now();
  const runsAfterMs = await platform.start();
  const left = await filterRunning(before);
  const adopted = left.some(({ name }) => name === 'postgres');
  const { interruptedMs: resumedAfterMs } = await waitUntilResumed(
    deployment,
    pieces,
    startedAt,
    startWithinMs + 4 * resumeWithinMs,
  );
  const killed = all ? 'supervisor and all its processes' : 'supervisor';
  options.print(
    `round ${round}: killed ${killed}; its chunks resumed ${formatSeconds(resumedAfterMs)} after the new start`,
  );
  const orphans = left.filter(({ name }) => name !== 'postgres').length;
  return { round, killed, pending: pieces.length, runsAfterMs, resumedAfterMs, orphans, adopted };
}

async function filterRunning<T extends ProcessRef>(refs: readonly T[]): Promise<T[]> {
  const running = await Promise.all(refs.map((ref) => isRunning(ref)));
  return refs.filter((_, at) => running[at]);
}

function checkRounds(rounds: readonly Round[]): Check[] {
  const slowestStart = Math.max(...rounds.map(({ runsAfterMs }) => runsAfterMs));
  const slowestResume = Math.max(
    ...rounds.map(({ runsAfterMs, resumedAfterMs }) => Math.max(0, resumedAfterMs - runsAfterMs)),
  );
  const orphans = rounds.reduce((sum, round) => sum + round.orphans, 0);
  return [
    {
      name: `the supervisor runs again within ${startWithinMs / 1_000} s`,
      holds: slowestStart <= startWithinMs,
      found: `after ${formatSeconds(slowestStart)} at most`,
    },
    {
      name: `interrupted chunks are resumed within ${resumeWithinMs / 1_000} s after that`,
      holds: slowestResume <= resumeWithinMs,
      found: `the last after ${formatSeconds(slowestResume)}`,
    },
    {
      name: 'after the new start no process of the previous one runs, except the database',
      holds: orphans === 0,
      found: `${orphans} orphans; ${rounds.filter(({ adopted }) => adopted).length} databases adopted`,
    },
  ];
}

/** Counts by command line the processes that use the data folder. */
function checkProcesses(running: readonly string[]): Check {
  const count = (pattern: RegExp) => running.filter((line) => pattern.test(line)).length;
  const found = {
    supervisor: count(/embedded\/start\.js/),
    api: count(/api\/src\/main\.js/),
    worker: count(/worker\/src\/main\.js/),
    postgres: count(/postgres(\.exe)? -D/),
  };
  const expected = { supervisor: 1, api: 1, worker: supervisedWorkerCount, postgres: 1 };
  return {
    name: 'at the end one supervisor, one API, one database and the workers run',
    holds: process.platform !== 'linux' || JSON.stringify(found) === JSON.stringify(expected),
    found: JSON.stringify(found),
  };
}

async function checkNothingLeft({ platform }: Deployment<SupervisedPlatform>): Promise<Check> {
  const { code, ms } = await platform.end(exitWithinMs);
  const left = await platform.processes();
  const records = await platform.children();
  const locked = await access(join(platform.home, 'supervisor.lock')).then(
    () => true,
    () => false,
  );
  return {
    name: 'after SIGTERM it exits with 0 and leaves no process and no lock',
    holds: code === 0 && left.length === 0 && records.length === 0 && !locked,
    found: `${code} after ${(ms / 1_000).toFixed(1)} s, ${left.length} processes, ${records.length} records, ${locked ? 'a' : 'no'} lock${left.map((line) => `; ${line}`).join('')}`,
  };
}

function buildRoundTable(rounds: readonly Round[]): Table {
  return {
    title: 'Kills of the supervisor',
    columns: ['round', 'killed', 'pending work', 'started after', 'chunks resumed after', 'database'],
    rows: rounds.map(({ round, killed, pending, runsAfterMs, resumedAfterMs, adopted }) => [
      round,
      killed,
      pending,
      `${(runsAfterMs / 1_000).toFixed(1)} s`,
      `${(resumedAfterMs / 1_000).toFixed(1)} s`,
      adopted ? 'adopted' : 'started',
    ]),
  };
}
