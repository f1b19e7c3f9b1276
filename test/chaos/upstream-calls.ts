/** Counts the sandbox calls of all workers, killed ones included, in the order in which they were made: what an upstream would bill. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const callLogPath = (home: string): string => join(home, 'calls.log');

/** Node arguments for a worker: each of its calls is appended to the call log. */
export const recordCallsArgs = [
  '--import',
  fileURLToPath(new URL('./preload/record-calls.js', import.meta.url)),
];

export interface UpstreamCalls {
  /** How often a line was sent upstream, and how many different lines were sent. */
  readonly sent: number;
  readonly lines: number;
  /** Lines that were sent more than once, and lines that were sent again after they were checkpointed. */
  readonly sentTwice: number;
  readonly resentAfterCheckpoint: number;
  readonly checkpointed: number;
}

export async function readUpstreamCalls(home: string): Promise<UpstreamCalls> {
  const sent = new Map<number, number>();
  const checkpointed = new Set<number>();
  const resent = new Set<number>();
  for (const entry of (await readFile(callLogPath(home), 'utf8')).split('\n').slice(0, -1)) {
    const [step, numbers] = entry.split(' ') as [string, string];
    for (const line of numbers.split(',').map(Number)) {
      if (step === 'checkpointed') checkpointed.add(line);
      if (step !== 'started') continue;
      sent.set(line, (sent.get(line) ?? 0) + 1);
      if (checkpointed.has(line)) resent.add(line);
    }
  }
  const times = [...sent.values()];
  return {
    sent: times.reduce((sum, each) => sum + each, 0),
    lines: sent.size,
    sentTwice: times.filter((each) => each > 1).length,
    resentAfterCheckpoint: resent.size,
    checkpointed: checkpointed.size,
  };
}
