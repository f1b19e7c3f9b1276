/** Isolates the input that fails a packed call: the call is split in two until each part settles or is one input. */

/**
 * @param run calls some of the items together. It returns `settled: false` to have both parts called.
 * A single item is never split.
 */
export async function splitUntilSettled<T>(
  items: readonly T[],
  run: (
    items: readonly T[],
    usedAttempts: number,
  ) => Promise<{ readonly settled: boolean; readonly usedAttempts: number }>,
  usedAttempts = 0,
): Promise<void> {
  const outcome = await run(items, usedAttempts);
  if (outcome.settled || items.length <= 1) return;
  const middle = items.length >> 1;
  await splitUntilSettled(items.slice(0, middle), run, outcome.usedAttempts);
  await splitUntilSettled(items.slice(middle), run, outcome.usedAttempts);
}
