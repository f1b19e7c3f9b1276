/** The running chunks that a fault interrupted, and when each was resumed. */
import type { Check, Table } from './fault.ts';
import type { Deployment } from './deployment.ts';
import type { RunningChunk } from './database-reader.ts';

export interface InterruptedChunk extends RunningChunk {
  /** 1-based number of the injection that interrupted it. */
  readonly round: number;
  /** Time of the injection, in ms since the epoch. */
  readonly at: number;
  /** Time until the chunk's next attempt started, including the worker's restart; null if none has. */
  resumedAfterMs: number | null;
}

/** The documented bound: interrupted work is resumed within this time after its worker died. */
export const resumeWithinMs = 15_000;

/** Sets `resumedAfterMs` of the chunks that have a newer attempt. */
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
    title: 'Interrupted chunks',
    columns: ['round', 'pid', 'batch', 'chunk', 'attempt', 'resumed after'],
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
    name: `every interrupted chunk was resumed within ${withinMs / 1_000} s`,
    holds: interrupted.length > 0 && late.length === 0,
    found: `${interrupted.length} chunks, the slowest after ${longest === null ? '–' : (longest / 1_000).toFixed(1)} s`,
  };
}

/** One injection interrupts at most one chunk for each slot of its worker. */
export function checkOneChunkPerSlot(
  interrupted: readonly InterruptedChunk[],
  rounds: number,
  slots: number,
): Check {
  const perRound = Map.groupBy(interrupted, ({ round }) => round);
  const most = Math.max(0, ...[...perRound.values()].map((chunks) => chunks.length));
  return {
    name: 'each round interrupted at most one chunk per slot',
    holds: most <= slots,
    found: `${interrupted.length} chunks in ${rounds} rounds, at most ${most} in one; ${slots} slots per worker`,
  };
}
