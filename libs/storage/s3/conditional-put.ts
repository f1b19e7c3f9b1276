/**
 * Conditional puts. Objects of every size are written in one request, because a server may ignore the conditions of
 * CompleteMultipartUpload (Ceph's gateway does). A body that is too large for memory is first written to a temporary
 * file, because the request needs its length.
 */
import { Readable } from 'node:stream';
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { sleep } from '#async';
import type { Conflict } from '#domain';
import { etagDiffers, keyExists } from '../conditions.ts';
import type { PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import type { ConditionSupport } from './condition-support.ts';
import { getAttempts, isTransient, getStatus } from './s3-errors.ts';
import { unquoteEtag } from './checksums.ts';
import { createPutMarker, buildPutHeaders, findWrittenObject } from './put-marker.ts';
import { headObject } from './head-object.ts';
import type { BodySource } from './body-source.ts';
import { toMemoryContent, spoolToFile, type PutContent } from './spool-to-file.ts';

interface PutCondition {
  /** The etag that the object must have; null if the object must not exist. */
  readonly ifMatch: string | null;
  readonly signal: AbortSignal | undefined;
}

export async function putConditionally(
  bucket: Bucket,
  conditions: ConditionSupport,
  key: string,
  source: BodySource,
  condition: PutCondition,
): Promise<PutResult> {
  await conditions.assertSupported();
  await assertConditionHolds(bucket, key, condition);
  const whole = await source.readWhole(bucket.partBytes);
  const content = whole ? toMemoryContent(whole) : await spoolToFile(source, bucket.sendsCrc32);
  try {
    const { ifMatch, signal } = condition;
    const header = ifMatch === null ? { IfNoneMatch: '*' } : { IfMatch: conditions.formatEtag(ifMatch) };
    return await sendOnce(bucket, key, content, header, signal);
  } finally {
    await content.discard();
  }
}

/**
 * Rejects a put early, before its body is sent. The put itself decides. (This check also rejects an etag that no object
 * has: Ceph's gateway takes an etag with an appended suffix for equal.)
 */
async function assertConditionHolds(
  bucket: Bucket,
  key: string,
  { ifMatch, signal }: PutCondition,
): Promise<void> {
  const existing = await headObject(bucket, key, signal);
  if ((existing?.etag ?? null) !== ifMatch) throw buildConflict(ifMatch !== null);
}

/**
 * Writes the object once or not at all. Two responses are not final: 409, for a concurrent put of the same key, and a
 * rejection after a lost response, because the object that exists may be the one that this put has written.
 */
async function sendOnce(
  bucket: Bucket,
  key: string,
  content: PutContent,
  header: Pick<PutObjectCommandInput, 'IfMatch' | 'IfNoneMatch'>,
  signal: AbortSignal | undefined,
): Promise<PutResult> {
  const marker = createPutMarker();
  for (let attempt = 1; ; attempt++) {
    const body = content.open();
    try {
      const input = { ...bucket.buildAddress(key), ...buildPutHeaders(key, marker), ...header, ...body };
      const { ETag } = await bucket.client.send(
        new PutObjectCommand(input),
        signal && { abortSignal: signal },
      );
      return { key, bytes: content.bytes, etag: unquoteEtag(ETag) };
    } catch (error) {
      signal?.throwIfAborted();
      const status = getStatus(error);
      const isRejected = status === 412 || (status === 404 && header.IfMatch !== undefined);
      const mayBeWritten = attempt > 1 || getAttempts(error) > 1 || isTransient(error);
      const written = mayBeWritten ? await findWrittenObject(bucket, key, marker) : null;
      if (written) return written;
      if (isRejected) throw buildConflict(header.IfMatch !== undefined, error);
      // The client's own retries can't send a stream again.
      const isRetryable = status === 409 || (body.Body instanceof Readable && isTransient(error));
      if (!isRetryable || attempt >= bucket.maxAttempts + 4) throw error;
      await sleep(Math.random() * 50 * 2 ** attempt, signal);
    } finally {
      if (body.Body instanceof Readable) body.Body.destroy();
    }
  }
}

function buildConflict(isMatch: boolean, cause?: unknown): Conflict {
  return isMatch ? etagDiffers(cause) : keyExists(cause);
}
