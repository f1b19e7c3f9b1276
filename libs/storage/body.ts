/** Reads the body of a put chunk by chunk. An abort ends the put even while the body stalls. */
import { Readable } from 'node:stream';
import { raceAbort } from '#async';
import type { ObjectBody } from './object-storage.ts';

/**
 * Yields the chunks of a body. When the body, the signal or the consumer ends the iteration early, the body is closed;
 * its error or the signal's reason is thrown unchanged.
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
  let isDone = false;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const next = await (signal ? raceAbort(chunks.next(), signal) : chunks.next());
      isDone = next.done === true;
      if (next.done) return;
      if (!ArrayBuffer.isView(next.value))
        throw new TypeError('The body of an object must consist of bytes.');
      yield next.value;
    }
  } finally {
    if (!isDone) closeBody(body, chunks);
  }
}

/** Passes each chunk to `write` and waits for it before it reads the next one. */
export async function writeChunks(
  body: ObjectBody,
  write: (chunk: Uint8Array) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  for await (const chunk of readChunks(body, signal)) await write(chunk);
}

/** Closes a body that will not be read to its end. Does not wait for it. */
export function closeBody(body: ObjectBody, chunks?: AsyncIterator<Uint8Array>): void {
  if (body instanceof Readable) body.destroy();
  else void Promise.resolve(chunks?.return?.()).catch(() => undefined);
}
