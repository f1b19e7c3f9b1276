/** SIGTERM in the midst of a chunk: the worker ends it, or hands it back at its deadline, and leaves nothing to stall. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check, Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import type { InterruptedChunk } from '../interrupted-chunks.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { Deployment } from '../deployment.ts';
import { injectFault } from '../inject-fault.ts';

const workers = 2;
/** A worker's own deadline, the two seconds that it leaves its jobs to hand back, and two to close. */
const deadlineMs = 25_000;
const handedBackMs = deadlineMs + 2_000;
const exitMs = deadlineMs + 4_500;

interface Termination {
  readonly round: number;
  readonly exitedAfterMs: number;
  readonly code: number | null;
  readonly chunks: readonly { readonly chunk: number; readonly outcome: string; readonly afterMs: number }[];
}

export const workerTerm: Fault = {
  name: 'worker-term',
  title: 'SIGTERM to workers that hold a running chunk',
  backends: ['embedded', 'redis'],
  run: (options) => Deployment.use(options, { workers }, (deployment) => runFault(deployment, options)),
};

async function runFault(deployment: Deployment, options: FaultOptions): Promise<FaultResult> {
  const { short, random } = options;
  const terminations: Termination[] = [];
  // Chunks that end before the deadline: they are drained.
  await deployment.submit(inputWithChunkSeconds(options.lines ?? (short ? 500 : 20_000), short ? 2.5 : 6));
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  for (let round = 1; round <= 2; round++) {
    await sleep(random.between(300, 1_200));
    terminations.push(await terminate(deployment, round));
  }
  await deployment.waitUntilEnded(120_000);
  if (!short) {
    // One that takes longer: it is handed back.
    await deployment.submit(inputWithChunkSeconds(100, 32));
    await deployment.waitUntilChunkRuns();
    await sleep(random.between(300, 1_200));
    terminations.push(await terminate(deployment, 3));
    await deployment.waitUntilEnded(120_000);
  }
  const checks = [
    ...(await deployment.runChecker()),
    ...checkTerminations(terminations, short),
    await noStall(deployment),
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
  const { worker, interrupted } = await injectFault(deployment, round, 'ended', ({ child }) => {
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
    chunks: await Promise.all(interrupted.map((chunk) => outcomeOf(deployment, chunk))),
  };
}

async function outcomeOf({ database }: Deployment, { batchId, chunk, attempt, at }: InterruptedChunk) {
  const row = await database.one<{ outcome: string | null; finished: Date | null }>(
    'select outcome, finished_at as finished from attempts where batch_id = $1 and chunk = $2 and number = $3',
    [batchId, chunk, attempt],
  );
  return { chunk, outcome: row.outcome ?? 'open', afterMs: (row.finished?.getTime() ?? Infinity) - at };
}

function checkTerminations(terminations: readonly Termination[], short: boolean): Check[] {
  const chunks = terminations.flatMap((termination) => termination.chunks);
  const of = (outcome: string) => chunks.filter((chunk) => chunk.outcome === outcome);
  const drained = of('succeeded');
  const handedBack = of('released');
  const slowest = Math.max(...chunks.map(({ afterMs }) => afterMs));
  return [
    {
      name: `its chunks are ended, or handed back within ${deadlineMs / 1_000} s`,
      holds: drained.length + handedBack.length === chunks.length && slowest <= handedBackMs,
      found: `${drained.length} ended, ${handedBack.length} handed back, the last after ${(slowest / 1_000).toFixed(1)} s`,
    },
    {
      name: short ? 'a chunk was drained' : 'a chunk was drained and another was handed back',
      holds: drained.length > 0 && (short || handedBack.length > 0),
      found: `${drained.length} and ${handedBack.length}`,
    },
    {
      name: 'the worker leaves by itself, with 0',
      holds: terminations.every(({ code, exitedAfterMs }) => code === 0 && exitedAfterMs <= exitMs),
      found: terminations
        .map(({ code, exitedAfterMs }) => `${code} after ${(exitedAfterMs / 1_000).toFixed(1)} s`)
        .join(', '),
    },
  ];
}

async function noStall({ database, platform }: Deployment): Promise<Check> {
  const { lost } = await database.one<{ lost: number }>(
    `select count(*) as lost from attempts where outcome = 'lost'`,
  );
  const stalls = platform.output().match(/a stalled job is redelivered/g)?.length ?? 0;
  return {
    name: 'nothing stalled and no attempt was lost',
    holds: lost + stalls === 0,
    found: `${stalls} stalls, ${lost} lost`,
  };
}

function buildTerminationTable(terminations: readonly Termination[]): Table {
  return {
    title: 'Workers that were told to end',
    columns: ['round', 'chunk', 'became', 'after', 'worker gone after'],
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
