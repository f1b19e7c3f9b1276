/** Injects a fault into a worker that runs a chunk at that moment, according to Postgres. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedProcess } from '../support/platform.ts';
import { isAlive } from './worker-restarter.ts';
import type { InterruptedChunk } from './interrupted-chunks.ts';
import type { Deployment } from './deployment.ts';
import type { RunningChunk } from './database-reader.ts';

/** @returns the worker, and the chunks that it ran before and after the injection: those that the fault interrupted. */
export async function injectFault(
  deployment: Deployment,
  round: number,
  name: string,
  inject: (worker: ManagedProcess) => void | Promise<void>,
): Promise<{ worker: ManagedProcess; interrupted: InterruptedChunk[] }> {
  const { database, platform, options } = deployment;
  for (;;) {
    const alive = platform.workers.filter(isAlive);
    const running = (await database.listRunningChunks()).filter(({ pid }) =>
      alive.some(({ child }) => child.pid === pid),
    );
    const pids = [...new Set(running.map(({ pid }) => pid))];
    if (pids.length === 0) {
      await assertBatchRuns(deployment, round);
      await sleep(50);
      continue;
    }
    const pid = options.random.pick(pids);
    const worker = alive.find(({ child }) => child.pid === pid)!;
    const at = Date.now();
    await inject(worker);
    // A chunk that it committed between the query and the injection was not interrupted.
    const open = await database.listRunningChunks();
    const interrupted = running.filter(
      (chunk) => chunk.pid === pid && open.some((now) => isSame(now, chunk)),
    );
    const what = interrupted.map(({ chunk, attempt }) => `chunk ${chunk} attempt ${attempt}`).join(', ');
    options.print(`round ${round}: ${name} worker ${pid} with ${what || 'no chunk left: repeating'}`);
    if (interrupted.length > 0) {
      return {
        worker,
        interrupted: interrupted.map((chunk) => ({ ...chunk, round, at, resumedAfterMs: null })),
      };
    }
  }
}

const isSame = (a: RunningChunk, b: RunningChunk): boolean =>
  a.batchId === b.batchId && a.chunk === b.chunk && a.attempt === b.attempt;

async function assertBatchRuns({ database, submitted }: Deployment, round: number): Promise<void> {
  const states = await Promise.all(submitted.map(({ id }) => database.getBatchState(id)));
  if (states.some(({ status }) => status === 'in_progress' || status === 'validating')) return;
  throw new Error(`the batch ended before round ${round}: use more lines`);
}
