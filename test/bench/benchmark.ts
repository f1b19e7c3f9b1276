/** The interface of a benchmark: its name, its options and its result. */

export const backends = ['embedded', 'redis'] as const;
export type BackendName = (typeof backends)[number];

export interface BenchOptions {
  /** null for the default of the benchmark. */
  readonly lines: number | null;
  readonly backend: BackendName;
  /** null for the default of the benchmark. */
  readonly model: string | null;
  /** Folder for CPU profiles of all processes; null for none. */
  readonly profile: string | null;
  /** Prints a line to stdout, before the JSON line. */
  readonly print: (line: string) => void;
}

/** Names in snake_case with their unit; null for what this machine cannot measure. */
export type Figures = Readonly<Record<string, number | null>>;

export interface Benchmark {
  readonly name: string;
  readonly title: string;
  run(options: BenchOptions): Promise<Figures>;
}

/** @returns the value with `digits` decimals. */
export const rounded = (value: number, digits = 0): number => Number(value.toFixed(digits));
