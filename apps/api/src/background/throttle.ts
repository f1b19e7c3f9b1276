/** @returns a function that calls `run` at most once in `intervalMs`; other calls do nothing. A failed call counts. */
export function throttle(intervalMs: number, run: () => Promise<void>): () => Promise<void> {
  let last = -Infinity;
  return async () => {
    if (performance.now() - last < intervalMs) return;
    last = performance.now();
    await run();
  };
}
