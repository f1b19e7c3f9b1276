/** Measures when each piece of pending work was resumed after a fault. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment } from './deployment.ts';
import type { PendingWork } from './database-reader.ts';

export interface ResumeTimes {
  readonly pieces: number;
  /** Time to the first and to the last resumed piece, in ms. The last may only have waited for a free slot. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Time to the last piece that was running or being planned, and so was interrupted by the fault. */
  readonly interruptedMs: number;
}

/**
 * Waits until each piece was claimed, completed or requeued after `moment`.
 * @throws Error that lists some that were not, after `withinMs`
 */
export async function waitUntilResumed(
  { database }: Pick<Deployment, 'database'>,
  pieces: readonly PendingWork[],
  moment: number,
  withinMs: number,
): Promise<ResumeTimes> {
  for (;;) {
    const now = await database.findResumeTimes(pieces, moment);
    const waiting = now.filter(({ at }) => at === null);
    if (waiting.length === 0) {
      const after = (some: typeof now) => some.map(({ at }) => at! - moment);
      const interrupted = now.filter(({ status }) => status !== 'queued');
      return {
        pieces: pieces.length,
        firstMs: Math.max(0, Math.min(...after(now))),
        lastMs: Math.max(0, ...after(now)),
        interruptedMs: Math.max(0, ...after(interrupted)),
      };
    }
    if (Date.now() - moment > withinMs) {
      const shown = waiting.slice(0, 5).map((piece) => JSON.stringify(piece));
      throw new Error(
        `${waiting.length} of ${pieces.length} pieces of work were not resumed after ${withinMs / 1_000} s:\n${shown.join('\n')}`,
      );
    }
    await sleep(200);
  }
}

export const formatSeconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
