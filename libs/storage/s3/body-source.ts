/** The body of a put to S3. Copies it into blocks, so that the source may reuse its memory, and keeps the source's error. */
import { readChunks } from '../body.ts';
import type { ObjectBody } from '../object-storage.ts';

const blockSize = 256 * 1024;

export class BodySource {
  /** The error of the body or the reason of the signal. Never an error of S3. */
  failure: { readonly reason: unknown } | null = null;
  /** Bytes read so far. */
  bytes = 0;
  readonly #body: ObjectBody;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #blocks: AsyncGenerator<Buffer, undefined, undefined> | null = null;

  constructor(body: ObjectBody, signal: AbortSignal | undefined) {
    this.#body = body;
    this.#signal = signal ? AbortSignal.any([signal, this.#stopped.signal]) : this.#stopped.signal;
  }

  /** Ends the body, even while it stalls. Does not set `failure`. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Returns the whole body if it has at most `limit` bytes, else null; `rest` then starts with the bytes read here. */
  async readWhole(limit: number): Promise<Buffer | null> {
    if (this.#body instanceof Uint8Array && this.#body.length <= limit) {
      this.bytes = this.#body.length;
      return Buffer.from(this.#body.buffer, this.#body.byteOffset, this.#body.byteLength);
    }
    this.#blocks = this.#read();
    const read: Buffer[] = [];
    for (let bytes = 0; ;) {
      const { done, value } = await this.#blocks.next();
      if (done) return Buffer.concat(read);
      read.push(value);
      bytes += value.length;
      if (bytes > limit) break;
    }
    this.#blocks = prepend(read, this.#blocks);
    return null;
  }

  /** All blocks of the body, after `readWhole` returned null. Can be read once. */
  get rest(): AsyncGenerator<Buffer, undefined, undefined> {
    return this.#blocks ?? this.#read();
  }

  async *#read(): AsyncGenerator<Buffer, undefined, undefined> {
    try {
      let block = Buffer.allocUnsafe(blockSize);
      let filled = 0;
      for await (const chunk of readChunks(this.#body, this.#signal)) {
        this.bytes += chunk.length;
        for (let at = 0; at < chunk.length;) {
          const piece = chunk.subarray(at, at + blockSize - filled);
          block.set(piece, filled);
          at += piece.length;
          filled += piece.length;
          if (filled < blockSize) continue;
          yield block;
          block = Buffer.allocUnsafe(blockSize);
          filled = 0;
        }
      }
      if (filled > 0) yield block.subarray(0, filled);
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.failure = { reason: error };
      throw error;
    }
  }
}

async function* prepend(
  first: Buffer[],
  rest: AsyncGenerator<Buffer, undefined, undefined>,
): AsyncGenerator<Buffer, undefined, undefined> {
  try {
    for (let next = first.shift(); next; next = first.shift()) yield next;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
