/**
 * A put stores a unique marker in the metadata of its object. When the response to its last request was lost, the retry
 * reports only that an object exists; the marker shows whether this put has written it.
 */
import { randomUUID } from 'node:crypto';
import { getContentType } from '../content-types.ts';
import type { PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { headObject } from './head-object.ts';

const markerName = 'millrace-put';

export function createPutMarker(): string {
  return randomUUID();
}

export function buildPutHeaders(key: string, marker?: string) {
  return {
    ContentType: getContentType(key),
    ...(marker !== undefined && { Metadata: { [markerName]: marker } }),
  };
}

/** Returns the object with this key if the put with this marker has written it; null if not or if it is not known. */
export async function findWrittenObject(
  bucket: Bucket,
  key: string,
  marker: string,
): Promise<PutResult | null> {
  const found = await headObject(bucket, key).catch(() => null);
  return found?.metadata[markerName] === marker ? { key, bytes: found.bytes, etag: found.etag } : null;
}
