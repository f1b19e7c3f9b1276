/** Makes a call through a client library. If the signal is aborted, its reason is thrown, not the library's error. */
export async function callUpstream<T>(
  signal: AbortSignal,
  call: () => Promise<T>,
  translateError: (error: unknown) => unknown,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    signal.throwIfAborted();
    throw translateError(error);
  }
}
