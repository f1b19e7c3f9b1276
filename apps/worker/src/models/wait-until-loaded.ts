/** Loads a model before the first call to it. */
import { raceAbort } from '#async';
import type { Route } from '#providers';

/**
 * Loading happens outside of the time limit of a call, and the model's pack limits are known afterwards. A failed load
 * is not thrown here: each call then fails with the reason.
 */
export async function waitUntilLoaded(
  { provider: { models }, model }: Route,
  signal: AbortSignal,
): Promise<void> {
  if (!models) return;
  signal.throwIfAborted();
  const loaded = models.load(model).catch(() => undefined);
  await raceAbort(loaded, signal);
}
