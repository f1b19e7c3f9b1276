/** The options and the result of a fault run. Each file in faults/ is one fault. */
import type { Random } from './seeded-random.ts';

export const backends = ['embedded', 'redis'] as const;
export type BackendName = (typeof backends)[number];

export const stores = ['disk', 's3'] as const;
export type StoreName = (typeof stores)[number];

export interface FaultOptions {
  readonly backend: BackendName;
  readonly store: StoreName;
  readonly seed: number;
  readonly random: Random;
  /** For CI: fewer lines, shorter outages, the same checks. */
  readonly short: boolean;
  /** Lines of the main batch; null for the default of the fault. */
  readonly lines: number | null;
  /** Removes the attempt fence from every chunk commit: the checker must find the violations. */
  readonly withoutFence: boolean;
  readonly print: (line: string) => void;
}

/** One condition that must hold, and what was found. */
export interface Check {
  readonly name: string;
  readonly holds: boolean;
  readonly found: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface FaultResult {
  readonly checks: readonly Check[];
  readonly tables: readonly Table[];
  /** Measured values; the name ends with the unit. */
  readonly figures: Readonly<Record<string, number | string | null>>;
}

export interface Fault {
  readonly name: string;
  readonly title: string;
  readonly backends: readonly BackendName[];
  /** Whether the fault supports `--without-fence`. */
  readonly canLoseFence?: boolean;
  readonly run: (options: FaultOptions) => Promise<FaultResult>;
}
