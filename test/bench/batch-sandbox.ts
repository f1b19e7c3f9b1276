/** A million lines through the whole platform without a model, and a bare loop that does only the same work per line. */
import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runBatch, uploadFile, type BatchRun } from './batch-run.ts';
import { checkOutput } from './check-output.ts';
import { withDeployment, type Deployment } from './deployment.ts';
import { writeLines } from './batch-lines.ts';
import { canMeasure } from './process-usage.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const defaultLines = 1_000_000;
/** The small run has a tenth of the lines; the large run must not cost more per line. */
const share = 10;
const bareLoop = fileURLToPath(new URL('./bare-loop-process.js', import.meta.url));

interface BareRun {
  readonly lines: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export const batchSandbox: Benchmark = {
  name: 'batch-sandbox',
  title: 'a batch of embeddings on the sandbox, from create to completed',
  run(options) {
    const lines = options.lines ?? defaultLines;
    return withDeployment(options, async (deps) => {
      const small = await measure(deps, Math.ceil(lines / share), options);
      const large = await measure(deps, lines, options);
      return report(small.run, large.run, large.bare, options);
    });
  },
};

async function measure(deps: Deployment, lines: number, { print }: BenchOptions) {
  const path = join(deps.folder, `${lines}.jsonl`);
  const bytes = await writeLines(path, lines);
  print(`${lines.toLocaleString('en')} lines of ${rounded(bytes / lines)} bytes: uploading …`);
  const fileId = await uploadFile(deps, path);
  const run = await runBatch(deps, fileId, lines);
  const sampled = await checkOutput(deps, run.outputFileId, lines);
  print(
    `completed in ${rounded(run.seconds, 1)} s; every line has its record, ${sampled} records recomputed`,
  );
  const bare = await bareRun(path, join(deps.folder, 'bare.jsonl'), run.batchId);
  return { run, bare };
}

async function bareRun(input: string, output: string, batchId: string): Promise<BareRun> {
  const { stdout } = await promisify(execFile)(process.execPath, [bareLoop, input, output, batchId]);
  return JSON.parse(stdout) as BareRun;
}

const cpuOf = ({ processes }: BatchRun) => processes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
const microseconds = (seconds: number, { lines }: { lines: number }) => rounded((seconds / lines) * 1e6, 2);

function report(small: BatchRun, large: BatchRun, bare: BareRun, { print }: BenchOptions): Figures {
  const runs = [small, large].map((run) => [
    `${run.lines.toLocaleString('en')} lines`,
    rounded(run.seconds, 2),
    rounded(run.planSeconds, 2),
    rounded(run.lines / run.seconds),
    microseconds(run.seconds, run),
    canMeasure ? microseconds(cpuOf(run), run) : null,
  ]);
  const ofBare = [
    'bare loop',
    rounded(bare.seconds, 2),
    null,
    rounded(bare.lines / bare.seconds),
    microseconds(bare.seconds, bare),
    microseconds(bare.cpuSeconds, bare),
  ];
  printTable(['', 'seconds', 'plan seconds', 'lines/s', 'µs/line', 'CPU µs/line'], [...runs, ofBare], print);
  const rows = large.processes.map(({ name, cpuSeconds, peakRssMb, slopeMbPerMillion }) => [
    name,
    microseconds(cpuSeconds, large),
    peakRssMb && rounded(peakRssMb),
    slopeMbPerMillion && rounded(slopeMbPerMillion, 1),
  ]);
  printTable(['process', 'CPU µs/line', 'peak RSS MB', 'slope MB/1M lines'], rows, print);
  const curves = large.processes.filter(({ rssMb }) => rssMb.length > 0);
  const tenths = Array.from({ length: 10 }, (_, tenth) => `${(tenth + 1) * 10} %`);
  const held = curves.map(({ name, rssMb }) => [name, ...rssMb.map((mb) => mb && rounded(mb))]);
  if (canMeasure) printTable(['RSS MB by completed lines', ...tenths], held, print);
  print(`\n${cpus().length} cores, Node ${process.version}`);
  return figuresOf(small, large, bare);
}

function figuresOf(small: BatchRun, large: BatchRun, bare: BareRun): Figures {
  const speed = large.lines / large.seconds;
  const bareSpeed = bare.lines / bare.seconds;
  const most = (of: (cost: BatchRun['processes'][number]) => number | null) =>
    canMeasure ? Math.max(...large.processes.map((cost) => of(cost) ?? -Infinity)) : null;
  const peak = most(({ peakRssMb }) => peakRssMb);
  const slope = most(({ slopeMbPerMillion }) => slopeMbPerMillion);
  const ratio = (of: (run: BatchRun) => number) => of(large) / large.lines / (of(small) / small.lines);
  return {
    lines: large.lines,
    lines_per_second: rounded(speed),
    bare_lines_per_second: rounded(bareSpeed),
    ratio: rounded(speed / bareSpeed, 3),
    peak_rss_mb: peak && rounded(peak),
    rss_slope_mb_per_million_lines: slope && rounded(slope, 1),
    cost_per_line_ratio: rounded(
      ratio(({ seconds }) => seconds),
      3,
    ),
    cpu_per_line_ratio: canMeasure ? rounded(ratio(cpuOf), 3) : null,
    cpu_us_per_line: canMeasure ? microseconds(cpuOf(large), large) : null,
    bare_cpu_us_per_line: microseconds(bare.cpuSeconds, bare),
  };
}
