/** What an upstream would have billed: every call of every worker, dead or alive, in the order in which they were made. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const callLogPath = (home: string): string => join(home, 'calls.log');

/** Arguments for a worker's node: its calls are written down. */
export const recordCallsArgs = [
  '--import',
  fileURLToPath(new URL('./preload/record-calls.js', import.meta.url)),
];

export interface UpstreamCalls {
  /** Times that lines were sent upstream, and how many lines were. */
  readonly sent: number;
  readonly lines: number;
  /** Lines that were sent more than once, and those of them that had been kept before. */
  readonly twice: number;
  readonly resentAfterCheckpoint: number;
  readonly kept: number;
}

export async function readUpstreamCalls(home: string): Promise<UpstreamCalls> {
  const sent = new Map<number, number>();
  const kept = new Set<number>();
  const again = new Set<number>();
  for (const entry of (await readFile(callLogPath(home), 'utf8')).split('\n').slice(0, -1)) {
    const [step, numbers] = entry.split(' ') as [string, string];
    for (const line of numbers.split(',').map(Number)) {
      if (step === 'kept') kept.add(line);
      if (step !== 'started') continue;
      sent.set(line, (sent.get(line) ?? 0) + 1);
      if (kept.has(line)) again.add(line);
    }
  }
  const times = [...sent.values()];
  return {
    sent: times.reduce((sum, each) => sum + each, 0),
    lines: sent.size,
    twice: times.filter((each) => each > 1).length,
    resentAfterCheckpoint: again.size,
    kept: kept.size,
  };
}
