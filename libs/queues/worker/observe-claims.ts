/**
 * The proof that a worker still takes work: its claims (BullMQ's `moveToActive`) are answered by the server.
 * Waiting for a job proves nothing, since BullMQ ends a wait by its own clock when a connection is dead.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendFactory, IQueueBackend } from 'bullmq';

export interface ClaimObserver {
  /** Set before the worker is closed: a claim that is asked for after that finds nothing. */
  stopped: boolean;
  readonly onAnswer: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** A claim that fails is tried again at once by BullMQ, unless the connection was refused. */
const pauseAfterFailureMs = 500;

export function observeClaims(factory: BackendFactory, claims: ClaimObserver): BackendFactory {
  return (name, opts, kind) => {
    const backend: IQueueBackend = factory(name, opts, kind);
    const claim = backend.moveToActive.bind(backend);
    backend.moveToActive = async (token, worker) => {
      // A worker that is told to close while it waits would still claim one more job on its way out.
      if (claims.stopped) return [];
      try {
        const claimed: unknown[] = await claim(token, worker);
        claims.onAnswer();
        return claimed;
      } catch (error) {
        // BullMQ keeps a refused connection to itself.
        claims.onFailure(error);
        await sleep(pauseAfterFailureMs, undefined, { ref: false });
        throw error;
      }
    };
    const findStalled = backend.moveStalledJobsToWait.bind(backend);
    // BullMQ would wait five seconds on a refused connection, and not be stopped while it does.
    backend.moveStalledJobsToWait = () =>
      findStalled().catch((error: unknown) => {
        claims.onFailure(error);
        return [];
      });
    return backend;
  };
}
