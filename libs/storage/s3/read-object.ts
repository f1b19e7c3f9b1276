/**
 * Opening and reading what is there. A connection that breaks within a body is made good by asking for the rest,
 * as long as it is the same object; a whole object whose ETag is its MD5 is checked against it.
 */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { Failure, OverLimit, Unavailable } from '#domain';
import { getContentType } from '../content-types.ts';
import { SegmentDamaged } from '../errors.ts';
import { resolveRange } from '../ranges.ts';
import type { ByteRange, ObjectInfo, ReadOptions, StoredObject } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { hasErrorName, getStatus, toStorageError } from './s3-errors.ts';
import { parseMd5, unquoteEtag } from './checksums.ts';

const maxReadBytes = 256 * 1024 * 1024;
/** Breaks in a row, without a byte between them, after which a stream fails. */
const maxReconnects = 4;

/** An object opened: what is known of it, and its bytes from `start` to `end`. */
interface OpenedObject {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly etag: string;
  readonly range: ByteRange | null;
  readonly chunks: AsyncGenerator<Buffer, undefined, undefined>;
  /** Lets go of the connection at once, whoever waits; one that has done its work is kept for the next request. */
  readonly release: () => void;
}

export async function openObject(bucket: Bucket, key: string, options: ReadOptions): Promise<StoredObject> {
  const { chunks, release, ...found } = await open(bucket, key, options);
  const stream = new Readable({
    highWaterMark: 256 * 1024,
    ...(options.signal && { signal: options.signal }),
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
  return { stream, ...found, contentType: getContentType(key) };
}

/** A checksum that does not hold is looked at twice: the first time it may have been the way here. */
export async function readObject(bucket: Bucket, key: string, options: ReadOptions): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readWhole(bucket, key, options);
    } catch (error) {
      const isAltered = error instanceof SegmentDamaged && error.foundBytes === error.expectedBytes;
      if (!isAltered || attempt === 2) throw error;
    }
  }
}

async function readWhole(bucket: Bucket, key: string, options: ReadOptions): Promise<Buffer> {
  const { bytes, chunks, release } = await open(bucket, key, options);
  try {
    if (bytes > maxReadBytes) {
      throw new OverLimit('This is too much to be read at once; open it as a stream.', {
        code: 'read_too_large',
      });
    }
    const buffer = Buffer.allocUnsafe(bytes);
    let done = 0;
    for await (const chunk of chunks) {
      buffer.set(chunk, done);
      done += chunk.length;
    }
    return buffer;
  } finally {
    release();
  }
}

export async function headObject(
  bucket: Bucket,
  key: string,
  signal?: AbortSignal,
): Promise<(ObjectInfo & { metadata: Readonly<Record<string, string>> }) | null> {
  try {
    const found = await bucket.client.send(
      new HeadObjectCommand(bucket.buildAddress(key)),
      signal && { abortSignal: signal },
    );
    return {
      key,
      bytes: found.ContentLength ?? 0,
      etag: unquoteEtag(found.ETag),
      modifiedAt: found.LastModified ?? new Date(0),
      metadata: found.Metadata ?? {},
    };
  } catch (error) {
    if (getStatus(error) === 404 && !hasErrorName(error, 'NoSuchBucket')) return null;
    throw error;
  }
}

async function open(bucket: Bucket, key: string, options: ReadOptions): Promise<OpenedObject> {
  const { expectedBytes, signal } = options;
  signal?.throwIfAborted();
  const asked = resolveRange(Infinity, options);
  const isWhole = !asked || (asked.start === 0 && expectedBytes! > 0 && asked.end >= expectedBytes! - 1);
  const dropped = new AbortController();
  const abortSignal = signal ? AbortSignal.any([signal, dropped.signal]) : dropped.signal;
  const ask = (from: number) => {
    const Range = isWhole && from === 0 ? undefined : `bytes=${from}-${formatRangeEnd(asked)}`;
    return bucket.client.send(new GetObjectCommand({ ...bucket.buildAddress(key), Range }), { abortSignal });
  };
  const first = await ask(asked?.start ?? 0).catch(async (error: unknown) => {
    signal?.throwIfAborted();
    throw getStatus(error) === 416 ? await toRangeError(bucket, key, options) : toStorageError(error);
  });
  try {
    const totalBytes = parseTotalBytes(first);
    if (expectedBytes !== undefined && expectedBytes !== totalBytes) {
      throw new SegmentDamaged(key, expectedBytes, totalBytes);
    }
    const range = resolveRange(totalBytes, options);
    if (!isWhole && first.ContentRange === undefined) throw buildRangeIgnoredError();
    const { start, end } = range ?? { start: 0, end: totalBytes - 1 };
    const etag = unquoteEtag(first.ETag);
    const md5 = isWhole && bucket.etagFormat.isMd5 ? parseMd5(first.ETag, first) : null;
    const reading = { key, first, start, end, md5, ask, signal: abortSignal, isDone: false };
    const release = () => (reading.isDone ? undefined : dropped.abort());
    return { bytes: end - start + 1, totalBytes, etag, range, chunks: readChunks(reading), release };
  } catch (error) {
    dropped.abort();
    throw error;
  }
}

function formatRangeEnd(asked: ByteRange | null): string {
  return asked && asked.end < Number.MAX_SAFE_INTEGER ? String(asked.end) : '';
}

function parseTotalBytes({ ContentRange, ContentLength }: GetObjectCommandOutput): number {
  const total = ContentRange === undefined ? ContentLength : Number(ContentRange.split('/')[1]);
  if (total === undefined || !Number.isSafeInteger(total)) {
    throw new Unavailable('The object store does not say how large an object is.', {
      code: 'storage_failed',
    });
  }
  return total;
}

function buildRangeIgnoredError(): Unavailable {
  return new Unavailable('The object store gave a whole object where a part was asked for.', {
    code: 'storage_failed',
  });
}

/** Too short for the range: which of the two was wrong, the range or the object? */
async function toRangeError(bucket: Bucket, key: string, options: ReadOptions): Promise<unknown> {
  const { expectedBytes, signal } = options;
  const found = await headObject(bucket, key, signal).catch((error: unknown) => {
    throw toStorageError(error);
  });
  const bytes = found?.bytes ?? 0;
  if (expectedBytes !== undefined && expectedBytes !== bytes)
    return new SegmentDamaged(key, expectedBytes, bytes);
  try {
    resolveRange(bytes, options);
  } catch (error) {
    return error;
  }
  return new Unavailable('The object changed while it was opened; try again.', { code: 'storage_failed' });
}

interface ObjectReader {
  readonly key: string;
  readonly first: GetObjectCommandOutput;
  readonly start: number;
  readonly end: number;
  /** What all of it must hash to, where that is known. */
  readonly md5: string | null;
  readonly ask: (from: number) => Promise<GetObjectCommandOutput>;
  readonly signal: AbortSignal;
  isDone: boolean;
}

async function* readChunks(reading: ObjectReader): AsyncGenerator<Buffer, undefined, undefined> {
  const { first, start, end, signal } = reading;
  const hash = reading.md5 === null ? null : createHash('md5');
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
      await sleep(50 * 4 ** (breaks - 1), undefined, { signal });
      body = resumeRead(reading, at);
    }
  }
  reading.isDone = true;
  assertChecksum(reading, hash);
}

/** The rest of the same object; a store that does not give it, after the client's own retries, ends the reading. */
async function* resumeRead({ ask, first }: ObjectReader, from: number): AsyncGenerator<Buffer> {
  const rest = await ask(from).catch((error: unknown) => {
    throw toStorageError(error);
  });
  if (rest.ETag !== first.ETag || rest.ContentRange?.startsWith(`bytes ${from}-`) !== true) {
    getBody(rest).destroy();
    throw new Unavailable('The object was replaced while it was read; read it again.', {
      code: 'storage_failed',
    });
  }
  yield* getBody(rest) as AsyncIterable<Buffer>;
}

function getBody(answer: GetObjectCommandOutput): Readable & AsyncIterable<Buffer> {
  return answer.Body as Readable & AsyncIterable<Buffer>;
}

function assertChecksum({ key, start, end, md5 }: ObjectReader, hash: Hash | null): void {
  const bytes = end - start + 1;
  if (hash && hash.digest('hex') !== md5) throw new SegmentDamaged(key, bytes, bytes);
}
