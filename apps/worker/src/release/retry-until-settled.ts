/** Statements that are tried until they are made: without them work would be held by a worker that doesn't know of it. */
import { setTimeout as wait } from 'node:timers/promises';
import { Unavailable } from '#domain';
import { Interrupted } from '#queues';

const pauseMs = 1_000;

/** A worker that leaves is missed, and what it held is delivered anew: nothing depends on its last words. */
export function isDraining({ reason }: AbortSignal): boolean {
  return reason instanceof Interrupted && reason.reason === 'draining';
}

/**
 * Asks again while the database is away. A claim may have been made though its answer was lost: unless it is made
 * once more, the work would be held by a worker that lives and does not know of it.
 */
export async function claimUntilSettled<T>(claim: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await claim();
    } catch (error) {
      if (!(error instanceof Unavailable) || isDraining(signal)) throw error;
      await wait(pauseMs);
    }
  }
}

/** For handing work back: while this worker lives nobody else would run it. */
export async function retryUntilSettled<T>(handBack: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await handBack();
    } catch (error) {
      if (isDraining(signal)) throw error;
      await wait(pauseMs);
    }
  }
}
