/**
 * Vectors of 384 numbers: the writer of shortest float32 digits beside `JSON.stringify` on the same numbers as
 * doubles, number by number the same float32; then a batch whose lines ask for such vectors.
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
/** The two take turns, so that what else the machine does meets both. */
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
  const numbers = new Clock(() => floats.reduce((sum, vector) => sum + formatFloat32Json(vector).length, 0));
  const stringify = new Clock(() => doubles.reduce((sum, vector) => sum + JSON.stringify(vector).length, 0));
  for (let round = 0; round < rounds; round++) for (const clock of [numbers, stringify]) clock.turn();
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

/** CPU time of turns; the first is warm-up. */
class Clock {
  bytes = 0;
  private turns = -1;
  private microseconds = 0;

  constructor(private readonly work: () => number) {}

  turn(): void {
    globalThis.gc?.();
    const before = process.cpuUsage();
    this.bytes = this.work();
    const { user, system } = process.cpuUsage(before);
    if (++this.turns > 0) this.microseconds += user + system;
  }

  /** Vectors a second. */
  get rate(): number {
    return (this.turns * sampleVectors * 1e6) / this.microseconds;
  }
}

function assertEqual(vectors: readonly Float32Array[]): void {
  for (const vector of vectors) {
    const read = JSON.parse(formatFloat32Json(vector)) as number[];
    const isSame =
      read.length === vector.length && read.every((value, at) => Math.fround(value) === vector[at]);
    if (!isSame) throw new Error('a vector does not read back as it was');
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
      `\na batch of ${lines.toLocaleString('en')} such lines: ${rounded(run.seconds, 1)} s, ${sampled} computed again`,
    );
    return {
      lines,
      lines_per_second: rounded(lines / run.seconds),
      peak_rss_mb: rounded(Math.max(...run.processes.map(({ peakRssMb }) => peakRssMb ?? 0))),
    };
  });
}
