/** A worker says every two seconds that it is there and what it has in hand; one that no longer takes work, leaves. */
import type { TaskStore, WorkerSelf, WorkerState, WorkerStore } from '#database';
import type { Logger } from '#telemetry';

export interface HeartbeatOptions {
  readonly self: WorkerSelf;
  readonly workers: WorkerStore;
  readonly tasks: TaskStore;
  readonly getState: () => WorkerState;
  /** Called with what this worker runs and shall no longer run: the broadcast that said so may have been lost. */
  readonly onEnded: (what: { batchId: string } | { taskId: string }) => void;
  /** Called once when it has not consumed for `deafMs`; what supervises the process starts a new one. */
  readonly onNotConsuming: () => void;
  readonly log: Logger;
}

const beatMs = 2_000;
const deafMs = 60_000;

export interface Heartbeat {
  /** Says good-bye. */
  stop(): Promise<void>;
}

export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { self, workers, tasks, log, onEnded } = options;
  let consumedAt = performance.now();
  let beating: Promise<void> = Promise.resolve();
  const beat = async () => {
    const state = options.getState();
    if (state.consuming) consumedAt = performance.now();
    else if (performance.now() - consumedAt > deafMs) options.onNotConsuming();
    try {
      for (const batchId of await workers.recordHeartbeat(self, state)) onEnded({ batchId });
      const held = state.running.filter(({ type }) => type === 'task').map(({ id }) => id);
      if (held.length === 0) return;
      for (const taskId of await tasks.listNotHeld(self.id, held)) onEnded({ taskId });
    } catch (error) {
      log.warn({ err: error }, 'could not say that this worker is alive');
    }
  };
  const start = () => {
    beating = beat();
  };
  start();
  const timer = setInterval(start, beatMs);
  return {
    async stop() {
      clearInterval(timer);
      await beating;
      await workers.remove(self.id).catch(() => undefined);
    },
  };
}
