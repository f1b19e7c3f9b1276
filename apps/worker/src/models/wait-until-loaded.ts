import type { Route } from '#providers';

/**
 * A model is fetched and loaded outside of a call's time, and its packing is known then. What fails here fails each
 * call with its own words.
 */
export async function waitUntilLoaded(
  { provider: { models }, model }: Route,
  signal: AbortSignal,
): Promise<void> {
  if (!models) return;
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<void>();
  const leave = () => reject(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  try {
    await Promise.race([promise, models.load(model).catch(() => undefined)]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
