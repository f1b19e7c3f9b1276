/** Starts a new worker when one exits, as the supervisor does, so that resume times include the restart. */
import { getRestartDelay } from '../../deploy/embedded/restart-delay.ts';
import type { ManagedProcess, Platform } from '../support/platform.ts';

export interface WorkerRestarter {
  /** Workers that exited and were replaced, and the time until the replacement was ready, in ms. */
  readonly restarts: readonly { readonly pid: number; readonly readyAfterMs: number }[];
  /** Stops replacing workers. */
  stop(): Promise<void>;
}

/** The supervisor's delay before it restarts a process that had started successfully. */
const pauseMs = getRestartDelay(null, Infinity);

export function restartDeadWorkers(platform: Platform): WorkerRestarter {
  const restarts: { pid: number; readyAfterMs: number }[] = [];
  const starting = new Set<Promise<void>>();
  let active = true;
  const replace = async (dead: ManagedProcess): Promise<void> => {
    const diedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    while (active) {
      const worker = await platform.addWorker().catch(() => null);
      if (!worker) continue; // It exited during its start: try again, as the supervisor does.
      restarts.push({ pid: dead.child.pid!, readyAfterMs: performance.now() - diedAt });
      watch(worker);
      return;
    }
  };
  const watch = (worker: ManagedProcess): void => {
    worker.child.once('exit', () => {
      if (!active) return;
      const started = replace(worker);
      starting.add(started);
      void started.finally(() => starting.delete(started));
    });
  };
  platform.workers.forEach(watch);
  return {
    restarts,
    async stop() {
      active = false;
      await Promise.all(starting);
    },
  };
}

/** Whether a process of the test platform is running. */
export const isAlive = ({ child }: ManagedProcess): boolean =>
  child.exitCode === null && child.signalCode === null;
