/** A body on its way to S3: in blocks of our own, so that its source may use its memory again, and with its failure kept. */
import { readChunks } from '../body.ts';
import type { ObjectBody } from '../object-storage.ts';

const blockSize = 256 * 1024;

export class BodySource {
  /** What the body or the signal ended it with; S3's errors are never in here. */
  failure: { readonly reason: unknown } | null = null;
  /** Bytes taken from it so far. */
  bytes = 0;
  readonly #body: ObjectBody;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #blocks: AsyncGenerator<Buffer, undefined, undefined> | null = null;

  constructor(body: ObjectBody, signal: AbortSignal | undefined) {
    this.#body = body;
    this.#signal = signal ? AbortSignal.any([signal, this.#stopped.signal]) : this.#stopped.signal;
  }

  /** Ends it from our side, even while it stalls; that is no failure of its own. */
  stop(): void {
    this.#stopped.abort();
  }

  /** The whole of it where it is small: up to `limit` bytes, else null; what was read for that comes from `rest`. */
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

  /** After `whole` gave null: all the blocks, once. */
  get rest(): AsyncGenerator<Buffer, undefined, undefined> {
    return this.#blocks ?? this.#read();
  }

  async *#read(): AsyncGenerator<Buffer, undefined, undefined> {
    try {
      let block = Buffer.allocUnsafe(blockSize);
      let held = 0;
      for await (const chunk of readChunks(this.#body, this.#signal)) {
        this.bytes += chunk.length;
        for (let at = 0; at < chunk.length;) {
          const piece = chunk.subarray(at, at + blockSize - held);
          block.set(piece, held);
          at += piece.length;
          held += piece.length;
          if (held < blockSize) continue;
          yield block;
          block = Buffer.allocUnsafe(blockSize);
          held = 0;
        }
      }
      if (held > 0) yield block.subarray(0, held);
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
