/** What a fault run is given and what it hands back; each file in faults/ is one. */
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
  /** The form for CI: fewer lines, shorter outages, the same checks. */
  readonly short: boolean;
  /** Lines of the main batch, where the command line names a number. */
  readonly lines: number | null;
  /** Takes the fence out of every commit: the checker must find what that breaks. */
  readonly withoutFence: boolean;
  readonly print: (line: string) => void;
}

/** One thing that must hold, and what was found. */
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
  /** Measured values, in the unit that their name ends with. */
  readonly figures: Readonly<Record<string, number | string | null>>;
}

export interface Fault {
  readonly name: string;
  readonly title: string;
  readonly backends: readonly BackendName[];
  /** Whether `--without-fence` means anything to it. */
  readonly canLoseFence?: boolean;
  readonly run: (options: FaultOptions) => Promise<FaultResult>;
}
