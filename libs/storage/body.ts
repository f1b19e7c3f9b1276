/** A body to be stored, taken chunk by chunk under a signal: a source that stalls does not hold up an abort. */
import { Readable } from 'node:stream';
import type { ObjectBody } from './object-storage.ts';

/**
 * The chunks of a body, one at a time. Whatever ends them early (the body, the signal, whoever takes them), the
 * body is told to stop, and what failed is thrown as it is.
 */
export async function* readChunks(
  body: ObjectBody,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, undefined, undefined> {
  signal?.throwIfAborted();
  if (body instanceof Uint8Array) {
    yield body;
    return;
  }
  const chunks = body[Symbol.asyncIterator]();
  let stop: (reason: unknown) => void = () => undefined;
  const onAbort = (): void => stop(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  let isDone = false;
  try {
    for (;;) {
      signal?.throwIfAborted();
      // A promise of its own for each chunk: racing all of them against one lasting promise would keep them all.
      const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        stop = reject;
        chunks.next().then(resolve, reject);
      });
      isDone = next.done === true;
      if (next.done) return;
      if (!ArrayBuffer.isView(next.value))
        throw new TypeError('An object is made of bytes: got another chunk.');
      yield next.value;
    }
  } finally {
    if (!isDone) closeBody(body, chunks);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Gives each chunk to `take` and waits for it before asking for the next. */
export async function writeChunks(
  body: ObjectBody,
  take: (chunk: Uint8Array) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  for await (const chunk of readChunks(body, signal)) await take(chunk);
}

/** Ends a body that is not going to be read, or not further; never waits for it. */
export function closeBody(body: ObjectBody, chunks?: AsyncIterator<Uint8Array>): void {
  if (body instanceof Readable) body.destroy();
  else void Promise.resolve(chunks?.return?.()).catch(() => undefined);
}
