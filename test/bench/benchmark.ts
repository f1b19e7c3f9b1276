/** What a benchmark is: a name, a run, and what a run gives back for people and for machines. */

export const backends = ['embedded', 'redis'] as const;
export type BackendName = (typeof backends)[number];

export interface BenchOptions {
  /** null: the benchmark's own number. */
  readonly lines: number | null;
  readonly backend: BackendName;
  /** null: the benchmark's own. */
  readonly model: string | null;
  /** Where a CPU profile of the worker is to be left; null for none. */
  readonly profile: string | null;
  /** For people: goes to stdout before the last line. */
  readonly print: (line: string) => void;
}

/** Names in snake_case with their unit; null where this machine can't tell. */
export type Figures = Readonly<Record<string, number | null>>;

export interface Benchmark {
  readonly name: string;
  readonly title: string;
  run(options: BenchOptions): Promise<Figures>;
}

/** @returns the value with `digits` behind the point. */
export const rounded = (value: number, digits = 0): number => Number(value.toFixed(digits));
