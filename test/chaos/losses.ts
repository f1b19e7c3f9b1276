/** What a fault took from its workers, chunk by chunk, and when each was taken up again. */
import type { Check, Table } from './fault.ts';
import type { Scene } from './scene.ts';
import type { HeldChunk } from './truth.ts';

export interface Loss extends HeldChunk {
  /** Which stroke of the run took it, from 1. */
  readonly stroke: number;
  /** When, in ms since the epoch. */
  readonly at: number;
  /** From then until the chunk's next attempt began, its worker's restart included; null if it never did. */
  resumedAfterMs: number | null;
}

/** The promise of RELIABILITY.md: stalled work is resumed within this time of its worker's death. */
export const resumeWithinMs = 15_000;

/** Fills in when each was taken up again, as far as that has happened. */
export async function followUp(losses: readonly Loss[], { truth }: Pick<Scene, 'truth'>): Promise<void> {
  for (const loss of losses) {
    if (loss.resumedAfterMs !== null) continue;
    const at = await truth.nextAttemptAt(loss);
    if (at !== null) loss.resumedAfterMs = at - loss.at;
  }
}

export const longestMs = (losses: readonly Loss[]): number | null =>
  losses.length === 0 ? null : Math.max(...losses.map(({ resumedAfterMs }) => resumedAfterMs ?? Infinity));

export function lossTable(losses: readonly Loss[]): Table {
  return {
    title: 'Chunks taken from their workers',
    columns: ['stroke', 'pid', 'batch', 'chunk', 'attempt', 'taken up again after'],
    rows: losses.map(({ stroke, pid, batchId, chunk, attempt, resumedAfterMs }) => [
      stroke,
      pid,
      batchId,
      chunk,
      attempt,
      resumedAfterMs === null ? 'never' : `${(resumedAfterMs / 1_000).toFixed(1)} s`,
    ]),
  };
}

export function resumedInTime(losses: readonly Loss[], withinMs = resumeWithinMs): Check {
  const late = losses.filter(({ resumedAfterMs }) => resumedAfterMs === null || resumedAfterMs > withinMs);
  const longest = longestMs(losses);
  return {
    name: `every chunk was taken up again within ${withinMs / 1_000} s`,
    holds: losses.length > 0 && late.length === 0,
    found: `${losses.length} chunks, the slowest after ${longest === null ? '–' : (longest / 1_000).toFixed(1)} s`,
  };
}

/** At most one chunk for each slot of the worker that was struck. */
export function oneChunkPerSlot(losses: readonly Loss[], strokes: number, slots: number): Check {
  const perStroke = Map.groupBy(losses, ({ stroke }) => stroke);
  const most = Math.max(0, ...[...perStroke.values()].map((taken) => taken.length));
  return {
    name: 'each stroke cost at most one chunk per slot',
    holds: most <= slots,
    found: `${losses.length} chunks in ${strokes} strokes, at most ${most} by one; ${slots} slots a worker`,
  };
}
