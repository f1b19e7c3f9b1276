/**
 * A mark that a put leaves on its object, by which it knows its own work again: where the answer to the last
 * request was lost, the retry of that request says only that something is there already.
 */
import { randomUUID } from 'node:crypto';
import { getContentType } from '../content-types.ts';
import type { PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { headObject } from './read-object.ts';

const markerName = 'millrace-put';

export function createPutMarker(): string {
  return randomUUID();
}

export function buildPutHeaders(key: string, mark?: string) {
  return {
    ContentType: getContentType(key),
    ...(mark !== undefined && { Metadata: { [markerName]: mark } }),
  };
}

/** What the put with this mark has written, if it is what the key holds now; null where that can't be known. */
export async function findWrittenObject(
  bucket: Bucket,
  key: string,
  mark: string,
): Promise<PutResult | null> {
  const found = await headObject(bucket, key).catch(() => null);
  return found?.metadata[markerName] === mark ? { key, bytes: found.bytes, etag: found.etag } : null;
}
