/** A generator of chunks as a Node stream. */
import { Readable } from 'node:stream';

interface ReadableOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Closes what the generator reads from. Called when the stream is destroyed, before `chunks.return()`, which alone
   * would wait for a read that may be stuck on the network.
   */
  readonly release: () => void;
}

export function toReadable(
  chunks: AsyncGenerator<Buffer, undefined, undefined>,
  { signal, release }: ReadableOptions,
): Readable {
  return new Readable({
    highWaterMark: 256 * 1024,
    ...(signal && { signal }),
    read() {
      chunks.next().then(
        ({ done, value }) => this.push(done ? null : value),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      release();
      chunks.return(undefined).catch(() => undefined);
      callback(error);
    },
  });
}
