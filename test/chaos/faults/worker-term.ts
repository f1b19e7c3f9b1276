/** SIGTERM while a worker runs a chunk: it completes the chunk, or releases it at its deadline, and leaves no stalled job. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check, Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import type { InterruptedChunk } from '../interrupted-chunks.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import { injectFault } from '../inject-fault.ts';

const workers = 2;
/** A worker's shutdown deadline; 2 s more to release its jobs, and 2.5 s more to exit. */
const deadlineMs = 25_000;
const releasedMs = deadlineMs + 2_000;
const exitMs = deadlineMs + 4_500;

interface Termination {
  readonly round: number;
  readonly exitedAfterMs: number;
  readonly code: number | null;
  readonly chunks: readonly { readonly chunk: number; readonly outcome: string; readonly afterMs: number }[];
}

export const workerTerm: Fault = {
  name: 'worker-term',
  title: 'SIGTERM to workers that run a chunk',
  backends: ['embedded', 'redis'],
  run: (options) => Deployment.use(options, { workers }, (deployment) => runFault(deployment, options)),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const { short, random } = options;
  const terminations: Termination[] = [];
  // Chunks that complete before the deadline.
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 500 : 20_000), short ? 2.5 : 6));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  for (let round = 1; round <= 2; round++) {
    await sleep(random.between(300, 1_200));
    terminations.push(await terminate(deployment, round));
  }
  await deployment.waitUntilEnded(120_000);
  if (!short) {
    // A chunk that takes longer than the deadline: it is released.
    await deployment.submit(inputWithChunkSeconds(100, 32));
    await deployment.waitUntilChunkRuns();
    await sleep(random.between(300, 1_200));
    terminations.push(await terminate(deployment, 3));
    await deployment.waitUntilEnded(120_000);
  }
  const checks = [
    ...(await deployment.runChecker()),
    ...checkTerminations(terminations, short),
    await checkNoStall(deployment),
  ];
  const slowest = Math.max(...terminations.map(({ exitedAfterMs }) => exitedAfterMs));
  const figures = {
    terminated: terminations.length,
    slowestExitMs: Math.round(slowest),
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [buildTerminationTable(terminations)], figures };
}

async function terminate(deployment: Deployment, round: number): Promise<Termination> {
  let exited: Promise<unknown[]> = Promise.resolve([]);
  const { worker, interrupted } = await injectFault(deployment, round, 'terminated', ({ child }) => {
    exited = once(child, 'exit');
    child.kill('SIGTERM');
  });
  const at = interrupted[0]!.at;
  const timer = setTimeout(() => worker.child.kill('SIGKILL'), exitMs + 10_000);
  const [code] = (await exited) as [number | null];
  clearTimeout(timer);
  const exitedAfterMs = Date.now() - at;
  return {
    round,
    exitedAfterMs,
    code,
    chunks: await Promise.all(interrupted.map((chunk) => readOutcome(deployment, chunk))),
  };
}

async function readOutcome({ database }: Deployment, { batchId, chunk, attempt, at }: InterruptedChunk) {
  const row = await database.one<{ outcome: string | null; finished: Date | null }>(
    'select outcome, finished_at as finished from attempts where batch_id = $1 and chunk = $2 and number = $3',
    [batchId, chunk, attempt],
  );
  return { chunk, outcome: row.outcome ?? 'open', afterMs: (row.finished?.getTime() ?? Infinity) - at };
}

function checkTerminations(terminations: readonly Termination[], short: boolean): Check[] {
  const chunks = terminations.flatMap((termination) => termination.chunks);
  const of = (outcome: string) => chunks.filter((chunk) => chunk.outcome === outcome);
  const completed = of('succeeded');
  const released = of('released');
  const slowest = Math.max(...chunks.map(({ afterMs }) => afterMs));
  return [
    {
      name: `its chunks are completed, or released within ${deadlineMs / 1_000} s`,
      holds: completed.length + released.length === chunks.length && slowest <= releasedMs,
      found: `${completed.length} completed, ${released.length} released, the last after ${(slowest / 1_000).toFixed(1)} s`,
    },
    {
      name: short ? 'a chunk was completed' : 'a chunk was completed and another was released',
      holds: completed.length > 0 && (short || released.length > 0),
      found: `${completed.length} completed, ${released.length} released`,
    },
    {
      name: 'the worker exits by itself with code 0',
      holds: terminations.every(({ code, exitedAfterMs }) => code === 0 && exitedAfterMs <= exitMs),
      found: terminations
        .map(({ code, exitedAfterMs }) => `${code} after ${(exitedAfterMs / 1_000).toFixed(1)} s`)
        .join(', '),
    },
  ];
}

async function checkNoStall({ database, platform }: Deployment): Promise<Check> {
  const { lost } = await database.one<{ lost: number }>(
    `select count(*) as lost from attempts where outcome = 'lost'`,
  );
  const stalls = platform.output().match(/a stalled job is redelivered/g)?.length ?? 0;
  return {
    name: 'no job stalled and no attempt was lost',
    holds: lost + stalls === 0,
    found: `${stalls} stalls, ${lost} lost`,
  };
}

function buildTerminationTable(terminations: readonly Termination[]): Table {
  return {
    title: 'Terminated workers',
    columns: ['round', 'chunk', 'outcome', 'after', 'worker exited after'],
    rows: terminations.flatMap(({ round, exitedAfterMs, chunks }) =>
      chunks.map(({ chunk, outcome, afterMs }) => [
        round,
        chunk,
        outcome,
        `${(afterMs / 1_000).toFixed(1)} s`,
        `${(exitedAfterMs / 1_000).toFixed(1)} s`,
      ]),
    ),
  };
}
