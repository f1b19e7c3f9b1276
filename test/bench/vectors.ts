/**
 * Vectors of 384 numbers as JSON: the writer of shortest float32 digits, compared with `JSON.stringify` on the same numbers
 * as doubles; each number must parse to the same float32. Then a batch that requests such vectors.
 */
import { join } from 'node:path';
import { formatFloat32Json } from '#domain';
import { embed } from '../../libs/providers/sandbox/embed.ts';
import { runBatch, uploadFile } from './batch-run.ts';
import { checkOutput } from './check-output.ts';
import { withDeployment } from './deployment.ts';
import { buildLineText, writeLines } from './batch-lines.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const dimensions = 384;
const defaultLines = 50_000;
const sampleVectors = 2_000;
/** The two alternate, so that other load on the machine affects both. */
const rounds = 20;

export const vectors: Benchmark = {
  name: 'vectors',
  title: `vectors of ${dimensions} numbers as JSON`,
  async run(options) {
    const written = compareWriters(options);
    return { ...written, ...(await batch(options)) };
  },
};

function compareWriters({ print }: BenchOptions): Figures {
  const texts = Array.from({ length: sampleVectors }, (_, at) => buildLineText(at + 1));
  const floats = embed({ inputs: texts, dimensions }).vectors;
  const doubles = floats.map((vector) => [...vector]);
  const numbers = new CpuTimer(() =>
    floats.reduce((sum, vector) => sum + formatFloat32Json(vector).length, 0),
  );
  const stringify = new CpuTimer(() =>
    doubles.reduce((sum, vector) => sum + JSON.stringify(vector).length, 0),
  );
  for (let round = 0; round < rounds; round++) for (const timer of [numbers, stringify]) timer.run();
  assertEqual(floats);
  const rows = (
    [
      ['shortest float32', numbers],
      ['JSON.stringify', stringify],
    ] as const
  ).map(([name, clock]) => [
    name,
    rounded(clock.rate),
    rounded(1e9 / clock.rate / dimensions, 1),
    rounded(clock.bytes / sampleVectors),
  ]);
  printTable([`${dimensions} numbers`, 'lines/s', 'ns/number', 'bytes/line'], rows, print);
  return {
    json_lines_per_second: rounded(numbers.rate),
    stringify_lines_per_second: rounded(stringify.rate),
    ratio: rounded(numbers.rate / stringify.rate, 2),
    json_bytes_per_line: rounded(numbers.bytes / sampleVectors),
    stringify_bytes_per_line: rounded(stringify.bytes / sampleVectors),
  };
}

/** Measures the CPU time of repeated calls; the first call is warm-up. */
class CpuTimer {
  bytes = 0;
  private runs = -1;
  private microseconds = 0;

  constructor(private readonly work: () => number) {}

  run(): void {
    globalThis.gc?.();
    const before = process.cpuUsage();
    this.bytes = this.work();
    const { user, system } = process.cpuUsage(before);
    if (++this.runs > 0) this.microseconds += user + system;
  }

  /** Vectors per second. */
  get rate(): number {
    return (this.runs * sampleVectors * 1e6) / this.microseconds;
  }
}

function assertEqual(vectors: readonly Float32Array[]): void {
  for (const vector of vectors) {
    const read = JSON.parse(formatFloat32Json(vector)) as number[];
    const isSame =
      read.length === vector.length && read.every((value, at) => Math.fround(value) === vector[at]);
    if (!isSame) throw new Error('a vector does not parse to the same numbers');
  }
}

async function batch(options: BenchOptions): Promise<Figures> {
  const lines = options.lines ?? defaultLines;
  return withDeployment(options, async (deps) => {
    const path = join(deps.folder, 'vectors.jsonl');
    await writeLines(path, lines, dimensions);
    const run = await runBatch(deps, await uploadFile(deps, path), lines);
    const sampled = await checkOutput(deps, run.outputFileId, lines, dimensions);
    options.print(
      `\na batch of ${lines.toLocaleString('en')} such lines: ${rounded(run.seconds, 1)} s, ${sampled} recomputed`,
    );
    return {
      lines,
      lines_per_second: rounded(lines / run.seconds),
      peak_rss_mb: rounded(Math.max(...run.processes.map(({ peakRssMb }) => peakRssMb ?? 0))),
    };
  });
}
