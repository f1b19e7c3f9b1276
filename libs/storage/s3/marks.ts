/**
 * A mark that a put leaves on its object, by which it knows its own work again: where the answer to the last
 * request was lost, the retry of that request says only that something is there already.
 */
import { randomUUID } from 'node:crypto';
import { contentTypeOf } from '../content-types.ts';
import type { PutResult } from '../store.ts';
import type { Bucket } from './bucket.ts';
import { headObject } from './reading.ts';

const name = 'millrace-put';

export function freshMark(): string {
  return randomUUID();
}

export function headers(key: string, mark?: string) {
  return { ContentType: contentTypeOf(key), ...(mark !== undefined && { Metadata: { [name]: mark } }) };
}

/** What the put with this mark has written, if it is what the key holds now; null where that can't be known. */
export async function landed(bucket: Bucket, key: string, mark: string): Promise<PutResult | null> {
  const found = await headObject(bucket, key).catch(() => null);
  return found?.metadata[name] === mark ? { key, bytes: found.bytes, etag: found.etag } : null;
}
