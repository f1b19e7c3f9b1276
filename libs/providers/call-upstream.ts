/** A call through a client library: an abort comes out as its own reason, whatever the library makes of it. */
export async function callUpstream<T>(
  signal: AbortSignal,
  call: () => Promise<T>,
  translate: (error: unknown) => unknown,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    signal.throwIfAborted();
    throw translate(error);
  }
}
