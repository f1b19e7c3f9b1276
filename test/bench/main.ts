/**
 * `npm run bench -- NAME [--lines N] [--model NAME] [--backend embedded|redis] [--profile FOLDER]`: runs a benchmark on
 * the built platform. It prints tables, and the figures as one JSON object on the last line of stdout. `--list` lists the
 * benchmarks.
 */
import { parseArgs } from 'node:util';
import { batchLocal } from './batch-local.ts';
import { batchSandbox } from './batch-sandbox.ts';
import { direct } from './direct.ts';
import { fairness } from './fairness.ts';
import { directBesideBatch } from './direct-beside-batch.ts';
import { backends, type BackendName, type BenchOptions, type Benchmark } from './benchmark.ts';
import { microBatch } from './micro-batch.ts';
import { sockets } from './sockets.ts';
import { stream } from './stream.ts';
import { vectors } from './vectors.ts';
import { webhooks } from './webhooks.ts';

const benchmarks: readonly Benchmark[] = [
  batchSandbox,
  batchLocal,
  vectors,
  fairness,
  direct,
  directBesideBatch,
  microBatch,
  stream,
  webhooks,
  sockets,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: 'string' },
    list: { type: 'boolean', default: false },
    lines: { type: 'string' },
    model: { type: 'string' },
    profile: { type: 'string' },
  },
});

async function main(): Promise<number> {
  if (values.list) {
    const width = Math.max(...benchmarks.map(({ name }) => name.length));
    for (const { name, title } of benchmarks) console.log(`${name.padEnd(width)}  ${title}`);
    return 0;
  }
  const selected = selectBenchmark();
  if (typeof selected === 'string') {
    console.error(selected);
    return 2;
  }
  const { benchmark, options } = selected;
  options.print(`${benchmark.name} on ${options.backend}: ${benchmark.title}`);
  const figures = await benchmark.run(options);
  console.log(JSON.stringify({ benchmark: benchmark.name, backend: options.backend, figures }));
  return 0;
}

/** @returns what the arguments select, or a message that says what is wrong with them. */
function selectBenchmark(): { benchmark: Benchmark; options: BenchOptions } | string {
  const benchmark = benchmarks.find(({ name }) => name === positionals[0]);
  const { backend = 'embedded', lines, model, profile } = values;
  if (!benchmark || positionals.length !== 1) {
    return `Name a benchmark: ${benchmarks.map(({ name }) => name).join(', ')}.`;
  }
  if (!backends.includes(backend as BackendName)) return `--backend is one of ${backends.join(', ')}.`;
  if (lines !== undefined && !/^[1-9]\d{0,7}$/.test(lines))
    return '--lines is a whole number up to 99999999.';
  return {
    benchmark,
    options: {
      backend: backend as BackendName,
      lines: lines === undefined ? null : Number(lines),
      model: model ?? null,
      profile: profile ?? null,
      print: (line) => console.log(line),
    },
  };
}

process.exitCode = await main();
