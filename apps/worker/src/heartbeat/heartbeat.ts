/**
 * Writes every two seconds that this worker is alive and what it runs. Learns from the answer which of its work has
 * ended, and reports when the worker has stopped consuming.
 */
import type { TaskRunStore, WorkerIdentity, WorkerState, WorkerStore } from '#database';
import type { Logger } from '#telemetry';

export interface HeartbeatOptions {
  readonly self: WorkerIdentity;
  readonly workers: Pick<WorkerStore, 'recordHeartbeat' | 'remove'>;
  readonly tasks: Pick<TaskRunStore, 'listNotHeld'>;
  readonly getState: () => WorkerState;
  /** Called with running work that has ended elsewhere, e.g. by a cancel whose message this worker missed. */
  readonly onEnded: (work: { batchId: string } | { taskId: string }) => void;
  /** Called when the worker has not consumed for a minute. The process should exit, so that a new one is started. */
  readonly onNotConsuming: () => void;
  readonly log: Logger;
}

const intervalMs = 2_000;
const maxIdleMs = 60_000;

export interface Heartbeat {
  /** Stops, and removes the worker from the list. */
  stop(): Promise<void>;
}

export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { self, workers, tasks, log, onEnded } = options;
  let consumedAt = performance.now();
  let sending: Promise<void> = Promise.resolve();
  const send = async () => {
    const state = options.getState();
    if (state.consuming) consumedAt = performance.now();
    else if (performance.now() - consumedAt > maxIdleMs) options.onNotConsuming();
    try {
      for (const batchId of await workers.recordHeartbeat(self, state)) onEnded({ batchId });
      const taskIds = state.running.filter(({ type }) => type === 'task').map(({ id }) => id);
      if (taskIds.length === 0) return;
      for (const taskId of await tasks.listNotHeld(self.id, taskIds)) onEnded({ taskId });
    } catch (error) {
      log.warn({ err: error }, 'could not write a heartbeat');
    }
  };
  const start = () => {
    sending = send();
  };
  start();
  const timer = setInterval(start, intervalMs);
  return {
    async stop() {
      clearInterval(timer);
      await sending;
      await workers.remove(self.id).catch(() => undefined);
    },
  };
}
