/** Requests an object or a range of it and checks the response against what was requested and recorded. */
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { Unavailable } from '#domain';
import { SegmentDamaged } from '../errors.ts';
import { resolveRange } from '../ranges.ts';
import type { ByteRange, ReadOptions } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { parseMd5, unquoteEtag } from './checksums.ts';
import { headObject } from './head-object.ts';
import { readBody } from './read-body.ts';
import { getStatus, toStorageError } from './s3-errors.ts';

interface OpenBody {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly etag: string;
  readonly range: ByteRange | null;
  readonly chunks: AsyncGenerator<Buffer, undefined, undefined>;
  /** Closes the connection at once, unless the body was read to its end: then the connection is kept for reuse. */
  readonly release: () => void;
}

export async function openBody(bucket: Bucket, key: string, options: ReadOptions): Promise<OpenBody> {
  const { expectedBytes, signal } = options;
  signal?.throwIfAborted();
  const requested = resolveRange(Infinity, options);
  const isWhole =
    !requested || (requested.start === 0 && expectedBytes! > 0 && requested.end >= expectedBytes! - 1);
  const released = new AbortController();
  const abortSignal = signal ? AbortSignal.any([signal, released.signal]) : released.signal;
  const request = (from: number) => {
    const Range = isWhole && from === 0 ? undefined : `bytes=${from}-${formatRangeEnd(requested)}`;
    return bucket.client.send(new GetObjectCommand({ ...bucket.buildAddress(key), Range }), { abortSignal });
  };
  const first = await request(requested?.start ?? 0).catch(async (error: unknown) => {
    signal?.throwIfAborted();
    throw getStatus(error) === 416 ? await toRangeError(bucket, key, options) : toStorageError(error);
  });
  try {
    const totalBytes = parseTotalBytes(first);
    if (expectedBytes !== undefined && expectedBytes !== totalBytes) {
      throw new SegmentDamaged(key, expectedBytes, totalBytes);
    }
    const range = resolveRange(totalBytes, options);
    if (!isWhole && first.ContentRange === undefined) {
      throw failed('The object storage returned a whole object for a range request.');
    }
    const { start, end } = range ?? { start: 0, end: totalBytes - 1 };
    const md5 = isWhole && bucket.etagFormat.isMd5 ? parseMd5(first.ETag, first) : null;
    const body = { key, first, start, end, md5, request, signal: abortSignal, isDone: false };
    return {
      bytes: end - start + 1,
      totalBytes,
      etag: unquoteEtag(first.ETag),
      range,
      chunks: readBody(body),
      release: () => (body.isDone ? undefined : released.abort()),
    };
  } catch (error) {
    released.abort();
    throw error;
  }
}

function formatRangeEnd(requested: ByteRange | null): string {
  return requested && requested.end < Number.MAX_SAFE_INTEGER ? String(requested.end) : '';
}

function parseTotalBytes({ ContentRange, ContentLength }: GetObjectCommandOutput): number {
  const total = ContentRange === undefined ? ContentLength : Number(ContentRange.split('/')[1]);
  if (total === undefined || !Number.isSafeInteger(total)) {
    throw failed('The object storage did not send the size of an object.');
  }
  return total;
}

function failed(message: string): Unavailable {
  return new Unavailable(message, { code: 'storage_failed' });
}

/** The range starts after the end of the object. Finds out whether the range or the size of the object is wrong. */
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
  return failed('The object changed while it was opened. Try again.');
}
