/** Work that was on its way when something broke, and when each piece of it went on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment } from './deployment.ts';
import type { PendingWork } from './database-reader.ts';

export interface ResumeTimes {
  readonly pieces: number;
  /** Until the first, and until the last of them went on, in ms. The last may only have waited for its turn. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** The last of those that were in a worker's hands, or being planned: what was really interrupted. */
  readonly interruptedMs: number;
}

/**
 * Waits until each piece has been claimed, ended or delivered anew since `moment`.
 * @throws Error naming some that have not in time.
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
        `${waiting.length} of ${pieces.length} pieces of work have not gone on after ${withinMs / 1_000} s:\n${shown.join('\n')}`,
      );
    }
    await sleep(200);
  }
}

export const formatSeconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
