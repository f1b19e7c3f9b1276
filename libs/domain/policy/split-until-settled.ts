/** Finds what is at fault among inputs that share a call: the call is halved until each part succeeds or stands alone. */

/**
 * @param run tries some of them together. @returns true when they are settled, false to have each half tried.
 * Never called again for one that stands alone.
 */
export async function splitUntilSettled<T>(
  items: readonly T[],
  run: (items: readonly T[], used: number) => Promise<{ readonly settled: boolean; readonly used: number }>,
  used = 0,
): Promise<void> {
  const outcome = await run(items, used);
  if (outcome.settled || items.length <= 1) return;
  const middle = items.length >> 1;
  await splitUntilSettled(items.slice(0, middle), run, outcome.used);
  await splitUntilSettled(items.slice(middle), run, outcome.used);
}
