/** Strikes a worker that holds a running chunk at this very moment, as Postgres tells it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedProcess } from '../support/platform.ts';
import { isAlive } from './worker-restarter.ts';
import type { InterruptedChunk } from './interrupted-chunks.ts';
import type { Deployment } from './deployment.ts';
import type { RunningChunk } from './database-reader.ts';

/** @returns what the worker held when it was struck and holds still: what the blow took, or caught half-done. */
export async function injectFault(
  deployment: Deployment,
  round: number,
  name: string,
  blow: (worker: ManagedProcess) => void | Promise<void>,
): Promise<{ worker: ManagedProcess; interrupted: InterruptedChunk[] }> {
  const { database, platform, options } = deployment;
  for (;;) {
    const alive = platform.workers.filter(isAlive);
    const held = (await database.listRunningChunks()).filter(({ pid }) =>
      alive.some(({ child }) => child.pid === pid),
    );
    const pids = [...new Set(held.map(({ pid }) => pid))];
    if (pids.length === 0) {
      await listStillRunning(deployment, round);
      await sleep(50);
      continue;
    }
    const pid = options.random.pick(pids);
    const worker = alive.find(({ child }) => child.pid === pid)!;
    const at = Date.now();
    await blow(worker);
    // What it committed in the moment between the question and the blow was not lost.
    const open = await database.listRunningChunks();
    const struck = held.filter((chunk) => chunk.pid === pid && open.some((now) => isSame(now, chunk)));
    const what = struck.map(({ chunk, attempt }) => `chunk ${chunk} attempt ${attempt}`).join(', ');
    options.print(`round ${round}: ${name} worker ${pid} with ${what || 'nothing any more: once more'}`);
    if (struck.length > 0) {
      return { worker, interrupted: struck.map((chunk) => ({ ...chunk, round, at, resumedAfterMs: null })) };
    }
  }
}

const isSame = (a: RunningChunk, b: RunningChunk): boolean =>
  a.batchId === b.batchId && a.chunk === b.chunk && a.attempt === b.attempt;

async function listStillRunning({ database, submitted }: Deployment, round: number): Promise<void> {
  const states = await Promise.all(submitted.map(({ id }) => database.getBatchState(id)));
  if (states.some(({ status }) => status === 'in_progress' || status === 'validating')) return;
  throw new Error(`the batch had ended before round ${round}: give it more lines`);
}
