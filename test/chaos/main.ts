/**
 * `npm run chaos -- NAME [--backend embedded|redis] [--store disk|s3|spread] [--seed N] [--lines N] [--short] [--without-fence]
 * [--jobs N] [--report FILE]` runs one fault, or `all`, against the built platform and then runs the checker. `--list` lists
 * the faults. Exit code: 0 if all checks hold, 1 if one fails, 2 for wrong arguments.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import globalSetup from '../support/global-setup.ts';
import globalTeardown from '../support/global-teardown.ts';
import {
  backends,
  stores,
  type BackendName,
  type Fault,
  type FaultOptions,
  type StoreName,
} from './fault.ts';
import { faults } from './faults/index.ts';
import { seeded } from './seeded-random.ts';
import { printResult, buildReport, type FaultReport } from './report.ts';
import { MissingServerError } from './deployment.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: 'string' },
    store: { type: 'string', default: 'disk' },
    seed: { type: 'string' },
    lines: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    list: { type: 'boolean', default: false },
    report: { type: 'string' },
    short: { type: 'boolean', default: false },
    'without-fence': { type: 'boolean', default: false },
  },
});

const print = (line: string): void => console.log(line);

interface FaultRun {
  readonly fault: Fault;
  readonly backend: BackendName;
  readonly store: StoreName;
}

interface SkippedRun {
  readonly fault: string;
  readonly backend: BackendName;
  readonly store: StoreName;
  readonly reason: string;
}

async function main(): Promise<number> {
  if (values.list) {
    const width = Math.max(...faults.map(({ name }) => name.length));
    for (const { name, title } of faults) print(`${name.padEnd(width)}  ${title}`);
    return 0;
  }
  const runs = selectRuns();
  if (typeof runs === 'string') {
    console.error(runs);
    return 2;
  }
  const reports: FaultReport[] = [];
  const skips: SkippedRun[] = [];
  const queue = runs.values();
  const jobs = Math.min(Math.max(1, Number(values.jobs)), runs.length);
  const runQueued = async () => {
    for (const { fault, backend, store } of queue) {
      // With several jobs the output of a run is printed when it ends.
      const lines: string[] = [];
      const printLine = jobs > 1 ? (line: string) => void lines.push(line) : print;
      try {
        reports.push(await runOne({ fault, backend, store }, printLine));
      } catch (error) {
        if (!(error instanceof MissingServerError)) throw error;
        skips.push({ fault: fault.name, backend, store, reason: error.message });
      }
      lines.forEach(print);
    }
  };
  await globalSetup();
  try {
    await Promise.all(Array.from({ length: jobs }, runQueued));
  } finally {
    await globalTeardown();
  }
  const passed = reports.filter((report) => report.passed).length;
  const counts = { passed, failed: reports.length - passed, skipped: skips.length };
  if (values.report) writeFileSync(values.report, JSON.stringify({ ...counts, reports, skips }));
  if (runs.length > 1) printSummary(reports, skips, counts);
  else if (skips[0])
    print(`SKIPPED ${skips[0].fault} on ${skips[0].backend} and ${skips[0].store}: ${skips[0].reason}`);
  return reports.length > 0 && reports.every(({ passed }) => passed) ? 0 : 1;
}

/** @returns the runs that the arguments select, or a message that says what is wrong with them. */
function selectRuns(): FaultRun[] | string {
  const [name] = positionals;
  const backend = values.backend as BackendName | undefined;
  const wanted = name === 'all' ? faults : faults.filter((fault) => fault.name === name);
  const usage = `Name a fault: ${['all', ...faults.map((fault) => fault.name)].join(', ')}.`;
  if (wanted.length === 0 || positionals.length !== 1) return usage;
  if (backend && !backends.includes(backend)) return `--backend is one of ${backends.join(', ')}.`;
  if (![...stores, 'spread'].includes(values.store)) return `--store is one of ${stores.join(', ')}, spread.`;
  for (const number of [values.seed, values.lines, values.jobs]) {
    if (number !== undefined && !/^\d{1,9}$/.test(number))
      return '--seed, --lines and --jobs are whole numbers.';
  }
  if (values['without-fence'] && !wanted.every((fault) => fault.canLoseFence)) {
    return `--without-fence is for ${faults
      .filter((fault) => fault.canLoseFence)
      .map((fault) => fault.name)
      .join(', ')}.`;
  }
  const runs = wanted.flatMap((fault, at) =>
    fault.backends
      .filter((on) => !backend || on === backend)
      .map((on) => ({ fault, backend: on, store: selectStore(at, on) })),
  );
  return runs.length > 0 ? runs : `${name} does not apply to ${backend}.`;
}

/** `spread` runs every fault on both stores and every store on both backends, in as many runs as one store takes. */
function selectStore(at: number, backend: BackendName): StoreName {
  if (values.store !== 'spread') return values.store as StoreName;
  return stores[(at + backends.indexOf(backend)) % stores.length]!;
}

async function runOne(
  { fault, backend, store }: FaultRun,
  print: (line: string) => void,
): Promise<FaultReport> {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
  const began = performance.now();
  const options: FaultOptions = {
    backend,
    store,
    seed,
    random: seeded(seed),
    short: values.short,
    lines: values.lines === undefined ? null : Number(values.lines),
    withoutFence: values['without-fence'],
    print: (line) => print(`${((performance.now() - began) / 1_000).toFixed(1).padStart(6)} s  ${line}`),
  };
  const form = `--store ${store} --seed ${seed}${values.short ? ' --short' : ''}${values['without-fence'] ? ' --without-fence' : ''}`;
  print(`\n═══ ${fault.name} on ${backend}: ${fault.title} (${form})`);
  const outcome = await fault.run(options).catch((error: unknown) => {
    if (error instanceof MissingServerError) throw error;
    return error instanceof Error ? error : new Error(String(error));
  });
  const report = buildReport(fault.name, options, (performance.now() - began) / 1_000, outcome);
  if (outcome instanceof Error) print(`\nThe run failed: ${outcome.message}\n${outcome.stack ?? ''}`);
  else printResult(outcome, print);
  print(
    `\n${report.passed ? 'PASS' : 'FAIL'} ${fault.name} on ${backend} and ${store} in ${report.seconds} s`,
  );
  print(JSON.stringify(report));
  return report;
}

function printSummary(
  reports: readonly FaultReport[],
  skips: readonly SkippedRun[],
  counts: Readonly<Record<'passed' | 'failed' | 'skipped', number>>,
): void {
  const width = Math.max(...faults.map(({ name }) => name.length));
  print('\n═══ All runs');
  for (const { fault, backend, store, passed, seconds, seed } of reports) {
    print(
      `  ${passed ? 'PASS' : 'FAIL'}  ${fault.padEnd(width)}  ${backend.padEnd(8)}  ${store.padEnd(4)}  ${seconds.toFixed(1).padStart(5)} s  --seed ${seed}`,
    );
  }
  for (const { fault, backend, store, reason } of skips) {
    print(`  SKIP  ${fault.padEnd(width)}  ${backend.padEnd(8)}  ${store.padEnd(4)}  ${reason}`);
  }
  print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
}

// The default action would leave the child processes running; the exit handlers kill them.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

// Do not wait for what a failed run has left open.
process.exit(await main());
