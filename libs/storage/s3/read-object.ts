/** Reads an object of the bucket, as a stream or into memory. */
import { SegmentDamaged } from '../errors.ts';
import { getContentType } from '../content-types.ts';
import { assertReadSize } from '../ranges.ts';
import { toReadable } from '../to-readable.ts';
import type { ReadOptions, StoredObject } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { openBody } from './open-body.ts';

export async function openObject(bucket: Bucket, key: string, options: ReadOptions): Promise<StoredObject> {
  const { chunks, release, ...info } = await openBody(bucket, key, options);
  const stream = toReadable(chunks, { signal: options.signal, release });
  return { stream, ...info, contentType: getContentType(key) };
}

/** Reads once more if the checksum differs: the bytes may have changed on the way. */
export async function readObject(bucket: Bucket, key: string, options: ReadOptions): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readOnce(bucket, key, options);
    } catch (error) {
      const isChecksum = error instanceof SegmentDamaged && error.foundBytes === error.expectedBytes;
      if (!isChecksum || attempt === 2) throw error;
    }
  }
}

async function readOnce(bucket: Bucket, key: string, options: ReadOptions): Promise<Buffer> {
  const { bytes, chunks, release } = await openBody(bucket, key, options);
  try {
    assertReadSize(bytes);
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
