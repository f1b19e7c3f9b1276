/** Retries claims and releases while the database is away, so that this worker never holds work it does not know of. */
import { sleep } from '#async';
import { Unavailable } from '#domain';
import { JobInterrupted } from '#queues';

const pauseMs = 1_000;

/** Whether the worker is stopping. Its work is then redelivered without a release, so nothing needs to be retried. */
export function isDraining({ reason }: AbortSignal): boolean {
  return reason instanceof JobInterrupted && reason.reason === 'draining';
}

/**
 * Retries a claim while the database is unavailable. The claim may have been committed although its response was lost,
 * and then only this worker can run the work: it must learn that it has the claim.
 */
export async function claimUntilSettled<T>(claim: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await claim();
    } catch (error) {
      if (!(error instanceof Unavailable) || isDraining(signal)) throw error;
      await sleep(pauseMs);
    }
  }
}

/** Retries a release until it succeeds. While this worker is alive, no other worker runs the work. */
export async function retryUntilSettled<T>(release: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await release();
    } catch (error) {
      if (isDraining(signal)) throw error;
      await sleep(pauseMs);
    }
  }
}
