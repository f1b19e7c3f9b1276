/**
 * Puts under a condition. S3 decides it in the one request that writes the object, whatever its size: a server
 * may ignore the conditions of CompleteMultipartUpload (Ceph's gateway does), so there are no parts here. What is
 * too large for memory waits in a temporary file until its length is known.
 */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { Conflict } from '#domain';
import type { PutResult } from '../store.ts';
import type { Bucket } from './bucket.ts';
import type { Conditions } from './conditions.ts';
import { attemptsOf, isPassing, statusOf } from './faults.ts';
import { unquoted } from './integrity.ts';
import { freshMark, headers, landed } from './marks.ts';
import { headObject } from './reading.ts';
import type { Source } from './source.ts';
import { inMemory, spool, type Content } from './spool.ts';

interface Condition {
  /** The etag that must be there; null for nothing at all. */
  readonly ifMatch: string | null;
  readonly signal: AbortSignal | undefined;
}

export async function putIf(
  bucket: Bucket,
  conditions: Conditions,
  key: string,
  source: Source,
  condition: Condition,
): Promise<PutResult> {
  await conditions.assured();
  await refuseEarly(bucket, key, condition);
  const whole = await source.whole(bucket.partBytes);
  const content = whole ? inMemory(whole) : await spool(source, bucket.sendsCrc32);
  try {
    const { ifMatch, signal } = condition;
    const header = ifMatch === null ? { IfNoneMatch: '*' } : { IfMatch: conditions.etagAs(ifMatch) };
    return await putOnce(bucket, key, content, header, signal);
  } finally {
    await content.discard();
  }
}

/**
 * Spares the sending of what would be refused in the end; what decides is the put itself. (It also sees to it that
 * the server compares an etag that it has given: Ceph's gateway takes one with something added for the same.)
 */
async function refuseEarly(bucket: Bucket, key: string, { ifMatch, signal }: Condition): Promise<void> {
  const held = await headObject(bucket, key, signal);
  if ((held?.etag ?? null) !== ifMatch) throw conflict(ifMatch !== null);
}

/**
 * One object, written once or not at all. Two answers are not yet the end: 409, for another put that is under way
 * on the same key, and a refusal that comes after a lost answer, as it may be our own object that is in the way.
 */
async function putOnce(
  bucket: Bucket,
  key: string,
  content: Content,
  header: Pick<PutObjectCommandInput, 'IfMatch' | 'IfNoneMatch'>,
  signal: AbortSignal | undefined,
): Promise<PutResult> {
  const mark = freshMark();
  for (let tries = 1; ; tries++) {
    const body = content.open();
    try {
      const input = { ...bucket.at(key), ...headers(key, mark), ...header, ...body };
      const { ETag } = await bucket.client.send(
        new PutObjectCommand(input),
        signal && { abortSignal: signal },
      );
      return { key, bytes: content.bytes, etag: unquoted(ETag) };
    } catch (error) {
      signal?.throwIfAborted();
      const status = statusOf(error);
      const isRefused = status === 412 || (status === 404 && header.IfMatch !== undefined);
      const mayBeOurs = tries > 1 || attemptsOf(error) > 1 || isPassing(error);
      const written = mayBeOurs ? await landed(bucket, key, mark) : null;
      if (written) return written;
      if (isRefused) throw conflict(header.IfMatch !== undefined, error);
      // A stream can't be sent again by the client's own retries.
      const isWorthIt = status === 409 || (body.Body instanceof Readable && isPassing(error));
      if (!isWorthIt || tries >= bucket.maxAttempts + 4) throw error;
      await sleep(Math.random() * 50 * 2 ** tries, undefined, signal && { signal });
    } finally {
      if (body.Body instanceof Readable) body.Body.destroy();
    }
  }
}

function conflict(isMatch: boolean, cause?: unknown): Conflict {
  return isMatch
    ? new Conflict('The object is not the one that the condition names.', { cause })
    : new Conflict('There is an object with this key already.', { cause });
}
