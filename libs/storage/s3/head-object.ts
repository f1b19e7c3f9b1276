/** HEAD of an object: size, etag, time, and the metadata that `put-marker.ts` reads. */
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { ObjectInfo } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { unquoteEtag } from './checksums.ts';
import { getStatus, hasErrorName } from './s3-errors.ts';

/** @returns null if the object does not exist. */
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
