/** Time limits. Every timer is cleared as soon as the work settles, so that none outlives what it limits. */
import { onAbort } from './on-abort.ts';

/** The work did not settle within its time limit. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * Settles as `work` does, or rejects after `ms`. The work itself is not stopped; what it rejects with later is ignored.
 *
 * @param createError builds the error of a timeout; a `TimeoutError` by default.
 */
export async function withTimeout<T>(
  work: Promise<T>,
  ms: number,
  createError: () => Error = () => new TimeoutError(`no answer within ${ms} ms`),
): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(createError()), ms);
  try {
    return await Promise.race([work, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits until `work` settles, for at most `ms`. Never rejects: for the steps of a shutdown.
 *
 * @returns whether the work settled in time, be it with an error.
 */
export async function waitAtMost(ms: number, work: Promise<unknown>): Promise<boolean> {
  const settled = work.then(
    () => true,
    () => true,
  );
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), ms);
  try {
    return await Promise.race([settled, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

export interface TimeLimit {
  /** Aborted by the limit, or by the signal that the limit was started with. */
  readonly signal: AbortSignal;
  /** Clears the timer and removes the listener. Call it when the work ends. */
  end(): void;
}

/**
 * A signal that aborts after `ms` with the error of `createError`, and with `signal`'s reason when that aborts first.
 *
 * Use it instead of `AbortSignal.any([signal, AbortSignal.timeout(ms)])` where calls are many: a million calls that
 * failed at once each kept a timer for its whole minute that way, 1.4 GB in all.
 */
export function startTimeLimit(
  signal: AbortSignal | undefined,
  ms: number,
  createError: () => Error = () => new TimeoutError(`not done within ${ms} ms`),
): TimeLimit {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(createError()), ms);
  const removeListener = onAbort(signal, (reason) => controller.abort(reason));
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      removeListener();
    },
  };
}
