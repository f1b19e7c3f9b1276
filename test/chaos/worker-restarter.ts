/** Starts a worker anew when one has died, as the supervisor does, so that a resume time holds the restart. */
import { getRestartDelay } from '../../deploy/embedded/restart-delay.ts';
import type { ManagedProcess, Platform } from '../support/platform.ts';

export interface WorkerRestarter {
  /** Deaths that were answered with a new worker, and how long that took to be ready, in ms. */
  readonly restarts: readonly { readonly pid: number; readonly readyAfterMs: number }[];
  /** From now on a worker that ends stays ended. */
  stop(): Promise<void>;
}

/** The supervisor's pause before it starts a process again that had come up. */
const pauseMs = getRestartDelay(null, Infinity);

export function restartDeadWorkers(platform: Platform): WorkerRestarter {
  const restarts: { pid: number; readyAfterMs: number }[] = [];
  const starting = new Set<Promise<void>>();
  let keeping = true;
  const replace = async (dead: ManagedProcess): Promise<void> => {
    const diedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    while (keeping) {
      const worker = await platform.addWorker().catch(() => null);
      if (!worker) continue; // It died at its start: again, as the supervisor would.
      restarts.push({ pid: dead.child.pid!, readyAfterMs: performance.now() - diedAt });
      watch(worker);
      return;
    }
  };
  const watch = (worker: ManagedProcess): void => {
    worker.child.once('exit', () => {
      if (!keeping) return;
      const started = replace(worker);
      starting.add(started);
      void started.finally(() => starting.delete(started));
    });
  };
  platform.workers.forEach(watch);
  return {
    restarts,
    async stop() {
      keeping = false;
      await Promise.all(starting);
    },
  };
}

/** Whether a process of the harness's still lives. */
export const isAlive = ({ child }: ManagedProcess): boolean =>
  child.exitCode === null && child.signalCode === null;
