/**
 * A batch on a model of MiniLM's size in the worker, and a bare transformers.js loop over the same texts with its fastest
 * call size. They run one after the other, with one compute thread each: CPU time then does not depend on other load on the
 * machine, as wall time does.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runBatch, uploadFile } from './batch-run.ts';
import type { BareModelCommand, BareModelRun } from './bare-model-process.ts';
import { withDeployment, type Deployment } from './deployment.ts';
import { localModel, withLocalModel } from './local-model.ts';
import { buildSampleText } from './sample-texts.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const defaultLines = 2_000;
const sizes = [1, 2, 4, 8, 16, 32];
/** Lines of the trial that selects the call size of the bare loop. */
const trialLines = 64;
/** The vector of one line in 97 is compared. */
const sampleEvery = 97;
const tolerance = 1e-5;
/** A run takes minutes, so that 500 ms are precise enough. */
const pollEveryMs = 500;
const bareProgram = fileURLToPath(new URL('./bare-model-process.js', import.meta.url));

export const batchLocal: Benchmark = {
  name: 'batch-local',
  title: `a batch of embeddings on a local model of MiniLM's size`,
  run: (options) =>
    withLocalModel((folder, env) =>
      withDeployment({ ...options, env: { ...env, LOCAL_CPU_THREADS: '1' } }, (deps) =>
        withBare(folder, (bare) => compare(deps, bare, options)),
      ),
    ),
};

type Bare = (command: BareModelCommand) => Promise<BareModelRun>;

async function withBare<T>(folder: string, run: (bare: Bare) => Promise<T>): Promise<T> {
  const child = spawn(process.execPath, [bareProgram, folder, localModel], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const next = await answers.next();
    if (next.done) throw new Error(`the bare loop ended: ${String(await exited)}`);
    return JSON.parse(next.value) as unknown;
  };
  try {
    await answer();
    return await run(async (command) => {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      return (await answer()) as BareModelRun;
    });
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

/** The loop in input order, as it is usually written, and sorted by length, which is its best case. */
const loops = {
  'input order': (texts: readonly string[]) => [...texts.keys()],
  'sorted by length': (texts: readonly string[]) =>
    [...texts.keys()].sort((a, b) => texts[a]!.length - texts[b]!.length),
} as const;
type Loop = keyof typeof loops;

async function compare(deps: Deployment, bare: Bare, options: BenchOptions): Promise<Figures> {
  const { print } = options;
  const lines = options.lines ?? defaultLines;
  const texts = Array.from({ length: lines }, (_, at) => buildSampleText(at + 1));
  const sizeOf = await bestSizes(bare, texts.slice(0, trialLines), print);
  const sample = texts.flatMap((_, at) => (at % sampleEvery === 0 ? [at] : []));
  const path = join(deps.folder, 'texts.jsonl');
  // Warm-up: loads the model, and gives the planner its speed.
  await batchOf(deps, path, texts.slice(0, trialLines));

  const spent = new Map<Loop | 'batch', { seconds: number; cpuSeconds: number }>();
  const rows: (string | number)[][] = [];
  const note = (name: Loop | 'batch', seconds: number, cpuSeconds: number) => {
    spent.set(name, { seconds, cpuSeconds });
    rows.push([
      name === 'batch' ? name : `bare loop, ${name}`,
      rounded(seconds, 2),
      rounded(lines / seconds, 1),
      rounded(lines / cpuSeconds, 1),
    ]);
  };
  const expected = new Map<number, readonly number[]>();
  const loop = async (name: Loop) => {
    const order = loops[name](texts);
    const places = sample.map((line) => order.indexOf(line));
    const run = await bare({ texts: order.map((at) => texts[at]!), size: sizeOf[name], sample: places });
    sample.forEach((line, at) => expected.set(line, run.vectors[at]!));
    note(name, run.seconds, run.cpuSeconds);
  };
  await loop('input order');
  const run = await batchOf(deps, path, texts);
  note('batch', run.seconds, run.processes.find(({ name }) => name.startsWith('worker'))!.cpuSeconds);
  await loop('sorted by length');
  await compareVectors(deps, run.outputFileId, expected);
  printTable(['', 's', 'lines/s', 'lines/CPU s'], rows, print);
  const rate = (name: Loop | 'batch', of: 'seconds' | 'cpuSeconds') => lines / spent.get(name)![of];
  const ratio = (of: 'seconds' | 'cpuSeconds', against: Loop) =>
    rounded(rate('batch', of) / rate(against, of), 3);
  print(`\n${cpus().length} cores, Node ${process.version}; ${sample.length} vectors are equal`);
  const others = run.processes.map(({ name, cpuSeconds }) => `${name} ${rounded(cpuSeconds, 1)}`);
  print(`CPU seconds while the batch ran: ${others.join(', ')}`);
  return {
    lines,
    lines_per_second: rounded(rate('batch', 'seconds'), 1),
    lines_per_cpu_second: rounded(rate('batch', 'cpuSeconds'), 1),
    bare_batch_size: sizeOf['input order'],
    ratio: ratio('seconds', 'input order'),
    cpu_ratio: ratio('cpuSeconds', 'input order'),
    sorted_bare_batch_size: sizeOf['sorted by length'],
    ratio_to_sorted: ratio('seconds', 'sorted by length'),
    cpu_ratio_to_sorted: ratio('cpuSeconds', 'sorted by length'),
  };
}

async function bestSizes(
  bare: Bare,
  texts: readonly string[],
  print: BenchOptions['print'],
): Promise<Record<Loop, number>> {
  await bare({ texts: texts.slice(0, 16), size: 4, sample: [] });
  const best = { 'input order': 1, 'sorted by length': 1 };
  const rows: (string | number)[][] = sizes.map((size) => [`${size} texts a call`]);
  for (const name of Object.keys(loops) as Loop[]) {
    const ordered = loops[name](texts).map((at) => texts[at]!);
    let least = Infinity;
    for (const [row, size] of sizes.entries()) {
      const { cpuSeconds } = await bare({ texts: ordered, size, sample: [] });
      if (cpuSeconds < least) [least, best[name]] = [cpuSeconds, size];
      rows[row]!.push(rounded(texts.length / cpuSeconds, 1));
    }
  }
  printTable(['lines/CPU s of the bare loop', ...Object.keys(loops)], rows, print);
  return best;
}

async function batchOf(deps: Deployment, path: string, texts: readonly string[]) {
  const buildLine = (input: string, at: number) =>
    JSON.stringify({
      custom_id: String(at),
      method: 'POST',
      url: '/v1/embeddings',
      body: { model: `local/${localModel}`, input },
    });
  writeFileSync(path, texts.map(buildLine).join('\n'));
  return runBatch(deps, await uploadFile(deps, path), texts.length, pollEveryMs);
}

interface OutputRecord {
  readonly custom_id: string;
  readonly response: {
    readonly body: { readonly data: readonly { readonly embedding: readonly number[] }[] };
  };
}

/** @throws Error if a line is missing or its vector differs from that of the bare loop */
async function compareVectors(
  { client }: Deployment,
  fileId: string,
  expected: ReadonlyMap<number, readonly number[]>,
): Promise<void> {
  const text = await (await client.files.content(fileId)).text();
  const records = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as OutputRecord);
  const found = new Map(
    records.map(({ custom_id, response }) => [custom_id, response.body.data[0]!.embedding]),
  );
  for (const [line, bareVector] of expected) {
    const vector = found.get(String(line));
    const isSame = vector?.every((value, at) => Math.abs(value - bareVector[at]!) < tolerance);
    if (!isSame) throw new Error(`the vector of line ${line} differs from that of the bare loop`);
  }
}
