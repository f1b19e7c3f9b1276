/** Waiting for an amount of time, with an end to the wait. */
import { onAbort } from './on-abort.ts';

/**
 * Resolves after `ms`. Rejects with the signal's own reason when it aborts; `node:timers/promises` rejects with an
 * `AbortError` instead, whose `cause` is the reason.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      removeListener();
      resolve();
    }, ms);
    const removeListener = onAbort(signal, (reason) => {
      clearTimeout(timer);
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason may be any value
      reject(reason);
    });
  });
}

/** Resolves after `ms`, or as soon as the signal aborts. Never rejects: for loops that check the signal next. */
export function sleepOrAbort(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, signal).catch(() => undefined);
}
