/**
 * Observes whether a worker still takes jobs: the server answers its claims (BullMQ's `moveToActive`). A wait for a job
 * proves nothing, since BullMQ ends it by a timer of its own when the connection is dead.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendFactory, IQueueBackend } from 'bullmq';

export interface ClaimObserver {
  /** Set before the worker is closed. A claim after that returns no job. */
  stopped: boolean;
  readonly onAnswer: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** BullMQ retries a failed claim at once, unless the connection was refused. */
const pauseAfterFailureMs = 500;

export function observeClaims(factory: BackendFactory, claims: ClaimObserver): BackendFactory {
  return (name, opts, kind) => {
    const backend: IQueueBackend = factory(name, opts, kind);
    const claim = backend.moveToActive.bind(backend);
    backend.moveToActive = async (token, worker) => {
      // A worker that is closed while it waits would still claim one more job.
      if (claims.stopped) return [];
      try {
        const claimed: unknown[] = await claim(token, worker);
        claims.onAnswer();
        return claimed;
      } catch (error) {
        // BullMQ emits no error for a refused connection.
        claims.onFailure(error);
        await sleep(pauseAfterFailureMs, undefined, { ref: false });
        throw error;
      }
    };
    const findStalled = backend.moveStalledJobsToWait.bind(backend);
    // On a refused connection BullMQ would wait five seconds, and could not be closed during the wait.
    backend.moveStalledJobsToWait = () =>
      findStalled().catch((error: unknown) => {
        claims.onFailure(error);
        return [];
      });
    return backend;
  };
}
