/** Isolates the input that fails a packed call: the call is split in two until each part settles or is one input. */

export interface SplitResult {
  /** false: both parts are called. A single item is never split. */
  readonly settled: boolean;
  /** Whether an input failed. */
  readonly failed: boolean;
  readonly usedAttempts: number;
}

/**
 * @param run calls some of the items together.
 * @param onTooLarge called with the size of a call that failed although each of its inputs was answered in a smaller one.
 * @returns whether an input failed.
 */
export async function splitUntilSettled<T>(
  items: readonly T[],
  run: (items: readonly T[], usedAttempts: number) => Promise<SplitResult>,
  onTooLarge: (items: number) => void = () => undefined,
  usedAttempts = 0,
): Promise<boolean> {
  const outcome = await run(items, usedAttempts);
  if (outcome.settled || items.length <= 1) return outcome.failed;
  const middle = items.length >> 1;
  const first = await splitUntilSettled(items.slice(0, middle), run, onTooLarge, outcome.usedAttempts);
  const rest = await splitUntilSettled(items.slice(middle), run, onTooLarge, outcome.usedAttempts);
  if (!first && !rest) onTooLarge(items.length);
  return first || rest;
}
