/** Strikes a worker that holds a running chunk at this very moment, as Postgres tells it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedProcess } from '../support/platform.ts';
import { isAlive } from './keeper.ts';
import type { Loss } from './losses.ts';
import type { Scene } from './scene.ts';
import type { HeldChunk } from './truth.ts';

/** @returns what the worker held when it was struck and holds still: what the blow took, or caught half-done. */
export async function strike(
  scene: Scene,
  stroke: number,
  name: string,
  blow: (worker: ManagedProcess) => void | Promise<void>,
): Promise<{ worker: ManagedProcess; losses: Loss[] }> {
  const { truth, platform, options } = scene;
  for (;;) {
    const alive = platform.workers.filter(isAlive);
    const held = (await truth.held()).filter(({ pid }) => alive.some(({ child }) => child.pid === pid));
    const pids = [...new Set(held.map(({ pid }) => pid))];
    if (pids.length === 0) {
      await stillRunning(scene, stroke);
      await sleep(50);
      continue;
    }
    const pid = options.random.pick(pids);
    const worker = alive.find(({ child }) => child.pid === pid)!;
    const at = Date.now();
    await blow(worker);
    // What it committed in the moment between the question and the blow was not lost.
    const open = await truth.held();
    const struck = held.filter((chunk) => chunk.pid === pid && open.some((now) => isSame(now, chunk)));
    const what = struck.map(({ chunk, attempt }) => `chunk ${chunk} attempt ${attempt}`).join(', ');
    options.say(`stroke ${stroke}: ${name} worker ${pid} with ${what || 'nothing any more: once more'}`);
    if (struck.length > 0) {
      return { worker, losses: struck.map((chunk) => ({ ...chunk, stroke, at, resumedAfterMs: null })) };
    }
  }
}

const isSame = (a: HeldChunk, b: HeldChunk): boolean =>
  a.batchId === b.batchId && a.chunk === b.chunk && a.attempt === b.attempt;

async function stillRunning({ truth, submitted }: Scene, stroke: number): Promise<void> {
  const states = await Promise.all(submitted.map(({ id }) => truth.batch(id)));
  if (states.some(({ status }) => status === 'in_progress' || status === 'validating')) return;
  throw new Error(`the batch had ended before stroke ${stroke}: give it more lines`);
}
