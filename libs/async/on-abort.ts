/** Listening to an `AbortSignal` without leaks: each function removes its listener when it is done. */

/**
 * Calls `listener` once with the signal's reason when the signal aborts; at once if it is already aborted.
 *
 * @returns a function that removes the listener. Call it when the work ends: a listener left on a signal that lives
 * as long as the process keeps everything it refers to in memory.
 */
export function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (!signal) return () => undefined;
  if (signal.aborted) {
    listener(signal.reason);
    return () => undefined;
  }
  const handle = () => listener(signal.reason);
  signal.addEventListener('abort', handle, { once: true });
  return () => signal.removeEventListener('abort', handle);
}

/** Resolves when the signal aborts. Never rejects. */
export function waitForAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void onAbort(signal, () => resolve()));
}

/**
 * Settles as `work` does, or rejects with the signal's reason when the signal aborts first. The work itself is not
 * stopped; what it rejects with after an abort is ignored.
 */
export async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const removeListener = onAbort(signal, aborted.reject);
  try {
    return await Promise.race([aborted.promise, work]);
  } finally {
    removeListener();
  }
}
