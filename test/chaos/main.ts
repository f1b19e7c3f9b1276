/**
 * `npm run chaos -- NAME [--backend embedded|redis] [--store disk|s3|spread] [--seed N] [--lines N] [--short] [--without-fence]
 * [--jobs N] [--report FILE]`: runs a
 * fault, or `all` of them, against the built platform, and lets the checker judge. Ends with 1 when anything failed.
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
    report: { type: 'string' },
    short: { type: 'boolean', default: false },
    'without-fence': { type: 'boolean', default: false },
  },
});

const print = (line: string): void => console.log(line);

interface Chosen {
  readonly fault: Fault;
  readonly backend: BackendName;
  readonly store: StoreName;
}

interface Skip {
  readonly fault: string;
  readonly backend: BackendName;
  readonly store: StoreName;
  readonly why: string;
}

async function main(): Promise<number> {
  const chosen = choose();
  if (typeof chosen === 'string') {
    console.error(chosen);
    return 2;
  }
  const reports: FaultReport[] = [];
  const skips: Skip[] = [];
  const waiting = chosen.values();
  const jobs = Math.min(Math.max(1, Number(values.jobs)), chosen.length);
  const lane = async () => {
    for (const { fault, backend, store } of waiting) {
      // What runs beside another prints when it is over.
      const lines: string[] = [];
      const tell = jobs > 1 ? (line: string) => void lines.push(line) : print;
      try {
        reports.push(await runOne({ fault, backend, store }, tell));
      } catch (error) {
        if (!(error instanceof MissingServerError)) throw error;
        skips.push({ fault: fault.name, backend, store, why: error.message });
      }
      lines.forEach(print);
    }
  };
  await globalSetup();
  try {
    await Promise.all(Array.from({ length: jobs }, lane));
  } finally {
    await globalTeardown();
  }
  const passed = reports.filter((report) => report.passed).length;
  const counts = { passed, failed: reports.length - passed, skipped: skips.length };
  if (values.report) writeFileSync(values.report, JSON.stringify({ ...counts, reports, skips }));
  if (chosen.length > 1) summarise(reports, skips, counts);
  else if (skips[0])
    print(`SKIPPED ${skips[0].fault} on ${skips[0].backend} and ${skips[0].store}: ${skips[0].why}`);
  return reports.length > 0 && reports.every(({ passed }) => passed) ? 0 : 1;
}

function choose(): Chosen[] | string {
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
      .map((on) => ({ fault, backend: on, store: storeOf(at, on) })),
  );
  return runs.length > 0 ? runs : `${name} does not apply to ${backend}.`;
}

/** `spread`: every fault on both stores, and every store on both backends, in no more runs than on one store. */
function storeOf(at: number, backend: BackendName): StoreName {
  if (values.store !== 'spread') return values.store as StoreName;
  return stores[(at + backends.indexOf(backend)) % stores.length]!;
}

async function runOne(
  { fault, backend, store }: Chosen,
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
  if (outcome instanceof Error) print(`\nThe run broke off: ${outcome.message}\n${outcome.stack ?? ''}`);
  else printResult(outcome, print);
  print(
    `\n${report.passed ? 'PASS' : 'FAIL'} ${fault.name} on ${backend} and ${store} in ${report.seconds} s`,
  );
  print(JSON.stringify(report));
  return report;
}

function summarise(
  reports: readonly FaultReport[],
  skips: readonly Skip[],
  counts: Readonly<Record<'passed' | 'failed' | 'skipped', number>>,
): void {
  print('\n═══ All runs');
  for (const { fault, backend, store, passed, seconds, seed } of reports) {
    print(
      `  ${passed ? 'PASS' : 'FAIL'}  ${fault.padEnd(16)} ${backend.padEnd(9)} ${store.padEnd(5)} ${seconds} s  --seed ${seed}`,
    );
  }
  for (const { fault, backend, store, why } of skips) {
    print(`  SKIP  ${fault.padEnd(16)} ${backend.padEnd(9)} ${store.padEnd(5)} ${why}`);
  }
  print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
}

// Ends what it has started by its exit, not by default, which would leave them running.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

// What a run that broke off has left open keeps nobody waiting.
process.exit(await main());
