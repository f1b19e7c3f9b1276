/** Prints the result of a fault run as tables, and builds the JSON report. */
import type { Check, FaultOptions, FaultResult, Table } from './fault.ts';

export interface FaultReport {
  readonly fault: string;
  readonly backend: string;
  readonly store: string;
  readonly seed: number;
  readonly short: boolean;
  readonly withoutFence: boolean;
  readonly passed: boolean;
  readonly seconds: number;
  readonly checks: readonly Check[];
  readonly figures: FaultResult['figures'];
  readonly error: string | null;
}

export function buildReport(
  fault: string,
  { backend, store, seed, short, withoutFence }: FaultOptions,
  seconds: number,
  outcome: FaultResult | Error,
): FaultReport {
  const failed = outcome instanceof Error;
  const checks = failed ? [] : outcome.checks;
  return {
    fault,
    backend,
    store,
    seed,
    short,
    withoutFence,
    passed: !failed && checks.every(({ holds }) => holds),
    seconds: Math.round(seconds * 10) / 10,
    checks,
    figures: failed ? {} : outcome.figures,
    error: failed ? outcome.message : null,
  };
}

export function printResult({ checks, tables, figures }: FaultResult, print: (line: string) => void): void {
  for (const table of tables) printTable(table, print);
  const rows = checks.map(({ name, holds, found }) => [holds ? 'holds' : 'FAILED', name, found]);
  printTable({ title: 'Checks', columns: ['', 'check', 'found'], rows }, print);
  const measured = Object.entries(figures).map(([name, value]) => [name, value ?? '–']);
  printTable({ title: 'Figures', columns: ['name', 'value'], rows: measured }, print);
}

function printTable({ title, columns, rows }: Table, print: (line: string) => void): void {
  const all = [columns, ...rows].map((row) => row.map(String));
  const widths = columns.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!))).join('  ')}`.trimEnd();
  print(`\n${title}`);
  if (rows.length === 0) return print('  (none)');
  print(line(all[0]!));
  print(`  ${widths.map((width) => '─'.repeat(Math.min(width, 60))).join('  ')}`);
  for (const row of all.slice(1)) print(line(row));
}
