/** SIGTERM in the midst of a chunk: the worker ends it, or hands it back at its deadline, and leaves nothing to stall. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check, Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { speed } from '../figures.ts';
import type { Loss } from '../losses.ts';
import { pacedInput } from '../pace.ts';
import { Scene } from '../scene.ts';
import { strike } from '../strike.ts';

const workers = 2;
/** A worker's own deadline, the two seconds that it leaves its jobs to hand back, and two to close. */
const deadlineMs = 25_000;
const handedBackMs = deadlineMs + 2_000;
const exitMs = deadlineMs + 4_500;

interface Farewell {
  readonly stroke: number;
  readonly exitedAfterMs: number;
  readonly code: number | null;
  readonly chunks: readonly { readonly chunk: number; readonly outcome: string; readonly afterMs: number }[];
}

export const workerTerm: Fault = {
  name: 'worker-term',
  title: 'SIGTERM to workers that hold a running chunk',
  backends: ['embedded', 'redis'],
  run: (options) => Scene.play(options, { workers }, (scene) => act(scene, options)),
};

async function act(scene: Scene, options: FaultOptions): Promise<FaultResult> {
  const { short, random } = options;
  const farewells: Farewell[] = [];
  // Chunks that end before the deadline: they are drained.
  await scene.submit(pacedInput(options.lines ?? (short ? 500 : 20_000), short ? 2.5 : 6));
  await scene.running();
  await scene.look();
  for (let stroke = 1; stroke <= 2; stroke++) {
    await sleep(random.between(300, 1_200));
    farewells.push(await terminate(scene, stroke));
  }
  await scene.ended(120_000);
  if (!short) {
    // One that takes longer: it is handed back.
    await scene.submit(pacedInput(100, 32));
    await scene.running();
    await sleep(random.between(300, 1_200));
    farewells.push(await terminate(scene, 3));
    await scene.ended(120_000);
  }
  const checks = [...(await scene.verdict()), ...farewellChecks(farewells, short), await noStall(scene)];
  const slowest = Math.max(...farewells.map(({ exitedAfterMs }) => exitedAfterMs));
  const figures = {
    terminated: farewells.length,
    slowestExitMs: Math.round(slowest),
    ...(await speed(scene)),
  };
  return { checks, tables: [farewellTable(farewells)], figures };
}

async function terminate(scene: Scene, stroke: number): Promise<Farewell> {
  let exited: Promise<unknown[]> = Promise.resolve([]);
  const { worker, losses } = await strike(scene, stroke, 'ended', ({ child }) => {
    exited = once(child, 'exit');
    child.kill('SIGTERM');
  });
  const at = losses[0]!.at;
  const timer = setTimeout(() => worker.child.kill('SIGKILL'), exitMs + 10_000);
  const [code] = (await exited) as [number | null];
  clearTimeout(timer);
  const exitedAfterMs = Date.now() - at;
  return {
    stroke,
    exitedAfterMs,
    code,
    chunks: await Promise.all(losses.map((loss) => outcomeOf(scene, loss))),
  };
}

async function outcomeOf({ truth }: Scene, { batchId, chunk, attempt, at }: Loss) {
  const row = await truth.one<{ outcome: string | null; finished: Date | null }>(
    'select outcome, finished_at as finished from attempts where batch_id = $1 and chunk = $2 and number = $3',
    [batchId, chunk, attempt],
  );
  return { chunk, outcome: row.outcome ?? 'open', afterMs: (row.finished?.getTime() ?? Infinity) - at };
}

function farewellChecks(farewells: readonly Farewell[], short: boolean): Check[] {
  const chunks = farewells.flatMap((farewell) => farewell.chunks);
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
      holds: farewells.every(({ code, exitedAfterMs }) => code === 0 && exitedAfterMs <= exitMs),
      found: farewells
        .map(({ code, exitedAfterMs }) => `${code} after ${(exitedAfterMs / 1_000).toFixed(1)} s`)
        .join(', '),
    },
  ];
}

async function noStall({ truth, platform }: Scene): Promise<Check> {
  const { lost } = await truth.one<{ lost: number }>(
    `select count(*) as lost from attempts where outcome = 'lost'`,
  );
  const stalls = platform.output().match(/a stalled job is redelivered/g)?.length ?? 0;
  return {
    name: 'nothing stalled and no attempt was lost',
    holds: lost + stalls === 0,
    found: `${stalls} stalls, ${lost} lost`,
  };
}

function farewellTable(farewells: readonly Farewell[]): Table {
  return {
    title: 'Workers that were told to end',
    columns: ['stroke', 'chunk', 'became', 'after', 'worker gone after'],
    rows: farewells.flatMap(({ stroke, exitedAfterMs, chunks }) =>
      chunks.map(({ chunk, outcome, afterMs }) => [
        stroke,
        chunk,
        outcome,
        `${(afterMs / 1_000).toFixed(1)} s`,
        `${(exitedAfterMs / 1_000).toFixed(1)} s`,
      ]),
    ),
  };
}
