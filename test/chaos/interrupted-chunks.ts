/** What a fault took from its workers, chunk by chunk, and when each was taken up again. */
import type { Check, Table } from './fault.ts';
import type { Deployment } from './deployment.ts';
import type { RunningChunk } from './database-reader.ts';

export interface InterruptedChunk extends RunningChunk {
  /** Which round of the run took it, from 1. */
  readonly round: number;
  /** When, in ms since the epoch. */
  readonly at: number;
  /** From then until the chunk's next attempt began, its worker's restart included; null if it never did. */
  resumedAfterMs: number | null;
}

/** The promise of RELIABILITY.md: stalled work is waitUntilResumed within this time of its worker's death. */
export const resumeWithinMs = 15_000;

/** Fills in when each was taken up again, as far as that has happened. */
export async function recordResumeTimes(
  interrupted: readonly InterruptedChunk[],
  { database }: Pick<Deployment, 'database'>,
): Promise<void> {
  for (const chunk of interrupted) {
    if (chunk.resumedAfterMs !== null) continue;
    const at = await database.nextAttemptAt(chunk);
    if (at !== null) chunk.resumedAfterMs = at - chunk.at;
  }
}

export const getSlowestResumeMs = (interrupted: readonly InterruptedChunk[]): number | null =>
  interrupted.length === 0
    ? null
    : Math.max(...interrupted.map(({ resumedAfterMs }) => resumedAfterMs ?? Infinity));

export function buildInterruptedTable(interrupted: readonly InterruptedChunk[]): Table {
  return {
    title: 'Chunks taken from their workers',
    columns: ['round', 'pid', 'batch', 'chunk', 'attempt', 'taken up again after'],
    rows: interrupted.map(({ round, pid, batchId, chunk, attempt, resumedAfterMs }) => [
      round,
      pid,
      batchId,
      chunk,
      attempt,
      resumedAfterMs === null ? 'never' : `${(resumedAfterMs / 1_000).toFixed(1)} s`,
    ]),
  };
}

export function checkResumedInTime(
  interrupted: readonly InterruptedChunk[],
  withinMs = resumeWithinMs,
): Check {
  const late = interrupted.filter(
    ({ resumedAfterMs }) => resumedAfterMs === null || resumedAfterMs > withinMs,
  );
  const longest = getSlowestResumeMs(interrupted);
  return {
    name: `every chunk was taken up again within ${withinMs / 1_000} s`,
    holds: interrupted.length > 0 && late.length === 0,
    found: `${interrupted.length} chunks, the slowest after ${longest === null ? '–' : (longest / 1_000).toFixed(1)} s`,
  };
}

/** At most one chunk for each slot of the worker that was struck. */
export function checkOneChunkPerSlot(
  interrupted: readonly InterruptedChunk[],
  rounds: number,
  slots: number,
): Check {
  const perStroke = Map.groupBy(interrupted, ({ round }) => round);
  const most = Math.max(0, ...[...perStroke.values()].map((taken) => taken.length));
  return {
    name: 'each round cost at most one chunk per slot',
    holds: most <= slots,
    found: `${interrupted.length} chunks in ${rounds} rounds, at most ${most} by one; ${slots} slots a worker`,
  };
}
