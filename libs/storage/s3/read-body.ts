/**
 * Reads the body of a GET. When the connection breaks, the rest is requested, as long as the object is the same one. The
 * checksum of a whole object is verified if its ETag is its MD5.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { sleep } from '#async';
import { Failure, Unavailable } from '#domain';
import { SegmentDamaged } from '../errors.ts';
import { toStorageError } from './s3-errors.ts';

/** How many breaks in a row, without a byte between them, a stream survives. */
const maxReconnects = 4;

export interface BodyRead {
  readonly key: string;
  readonly first: GetObjectCommandOutput;
  readonly start: number;
  readonly end: number;
  /** The MD5 of the whole object; null if it is not known. */
  readonly md5: string | null;
  readonly request: (from: number) => Promise<GetObjectCommandOutput>;
  readonly signal: AbortSignal;
  /** Set when all bytes have been read. */
  isDone: boolean;
}

export async function* readBody(read: BodyRead): AsyncGenerator<Buffer, undefined, undefined> {
  const { first, start, end, signal } = read;
  const hash = read.md5 === null ? null : createHash('md5');
  let at = start;
  let breaks = 0;
  let body: AsyncIterable<Buffer> = getBody(first);
  for (;;) {
    try {
      for await (const chunk of body) {
        at += chunk.length;
        breaks = 0;
        hash?.update(chunk);
        yield chunk;
      }
      if (at === end + 1) break;
      throw Object.assign(new Error('the body ended early'), { code: 'EPIPE' });
    } catch (error) {
      signal.throwIfAborted();
      if (at === end + 1) break;
      if (error instanceof Failure || at > end + 1 || ++breaks > maxReconnects) throw toStorageError(error);
      await sleep(50 * 4 ** (breaks - 1), signal);
      body = requestRest(read, at);
    }
  }
  read.isDone = true;
  assertChecksum(read, hash);
}

/** Yields the rest of the same object. An error here comes after the client's own retries, so it ends the read. */
async function* requestRest({ request, first }: BodyRead, from: number): AsyncGenerator<Buffer> {
  const rest = await request(from).catch((error: unknown) => {
    throw toStorageError(error);
  });
  if (rest.ETag !== first.ETag || rest.ContentRange?.startsWith(`bytes ${from}-`) !== true) {
    getBody(rest).destroy();
    throw new Unavailable('The object was replaced while it was read. Read it again.', {
      code: 'storage_failed',
    });
  }
  yield* getBody(rest) as AsyncIterable<Buffer>;
}

function getBody(response: GetObjectCommandOutput): Readable & AsyncIterable<Buffer> {
  return response.Body as Readable & AsyncIterable<Buffer>;
}

function assertChecksum({ key, start, end, md5 }: BodyRead, hash: Hash | null): void {
  const bytes = end - start + 1;
  if (hash && hash.digest('hex') !== md5) throw new SegmentDamaged(key, bytes, bytes);
}
