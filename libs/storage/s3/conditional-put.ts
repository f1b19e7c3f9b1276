/**
 * Puts under a condition. S3 decides it in the one request that writes the object, whatever its size: a server
 * may ignore the conditions of CompleteMultipartUpload (Ceph's gateway does), so there are no parts here. What is
 * too large for memory waits in a temporary file until its length is known.
 */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { Conflict } from '#domain';
import type { PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import type { ConditionSupport } from './condition-support.ts';
import { getAttempts, isTransient, getStatus } from './s3-errors.ts';
import { unquoteEtag } from './checksums.ts';
import { createPutMarker, buildPutHeaders, findWrittenObject } from './put-marker.ts';
import { headObject } from './read-object.ts';
import type { BodySource } from './body-source.ts';
import { toMemoryContent, spoolToFile, type PutContent } from './spool-to-file.ts';

interface PutCondition {
  /** The etag that must be there; null for nothing at all. */
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
 * Spares the sending of what would be refused in the end; what decides is the put itself. (It also sees to it that
 * the server compares an etag that it has given: Ceph's gateway takes one with something added for the same.)
 */
async function assertConditionHolds(
  bucket: Bucket,
  key: string,
  { ifMatch, signal }: PutCondition,
): Promise<void> {
  const held = await headObject(bucket, key, signal);
  if ((held?.etag ?? null) !== ifMatch) throw buildConflict(ifMatch !== null);
}

/**
 * One object, written once or not at all. Two answers are not yet the end: 409, for another put that is under way
 * on the same key, and a refusal that comes after a lost answer, as it may be our own object that is in the way.
 */
async function sendOnce(
  bucket: Bucket,
  key: string,
  content: PutContent,
  header: Pick<PutObjectCommandInput, 'IfMatch' | 'IfNoneMatch'>,
  signal: AbortSignal | undefined,
): Promise<PutResult> {
  const mark = createPutMarker();
  for (let attempt = 1; ; attempt++) {
    const body = content.open();
    try {
      const input = { ...bucket.buildAddress(key), ...buildPutHeaders(key, mark), ...header, ...body };
      const { ETag } = await bucket.client.send(
        new PutObjectCommand(input),
        signal && { abortSignal: signal },
      );
      return { key, bytes: content.bytes, etag: unquoteEtag(ETag) };
    } catch (error) {
      signal?.throwIfAborted();
      const status = getStatus(error);
      const isRefused = status === 412 || (status === 404 && header.IfMatch !== undefined);
      const mayBeOurs = attempt > 1 || getAttempts(error) > 1 || isTransient(error);
      const written = mayBeOurs ? await findWrittenObject(bucket, key, mark) : null;
      if (written) return written;
      if (isRefused) throw buildConflict(header.IfMatch !== undefined, error);
      // A stream can't be sent again by the client's own retries.
      const isWorthIt = status === 409 || (body.Body instanceof Readable && isTransient(error));
      if (!isWorthIt || attempt >= bucket.maxAttempts + 4) throw error;
      await sleep(Math.random() * 50 * 2 ** attempt, undefined, signal && { signal });
    } finally {
      if (body.Body instanceof Readable) body.Body.destroy();
    }
  }
}

function buildConflict(isMatch: boolean, cause?: unknown): Conflict {
  return isMatch
    ? new Conflict('The object is not the one that the condition names.', { cause })
    : new Conflict('There is an object with this key already.', { cause });
}
