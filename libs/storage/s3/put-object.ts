/** Puts an object: in one request if it is small or has a condition, else as a multipart upload. */
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { closeBody } from '../body.ts';
import { assertOneCondition } from '../conditions.ts';
import { assertContentType } from '../content-types.ts';
import type { ObjectBody, PutOptions, PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import type { ConditionSupport } from './condition-support.ts';
import { putConditionally } from './conditional-put.ts';
import { deleteKeys } from './delete-keys.ts';
import { toStorageError } from './s3-errors.ts';
import { ChecksumMismatch, unquoteEtag } from './checksums.ts';
import { buildPutHeaders } from './put-marker.ts';
import { putInParts } from './multipart-upload.ts';
import { BodySource } from './body-source.ts';

export async function putObject(
  bucket: Bucket,
  conditions: ConditionSupport,
  key: string,
  body: ObjectBody,
  options: PutOptions,
): Promise<PutResult> {
  const { signal, ifNoneMatch, ifMatch } = options;
  const source = new BodySource(body, signal);
  try {
    assertContentType(key, options.contentType);
    assertOneCondition(options);
    signal?.throwIfAborted();
    if (ifNoneMatch !== undefined || ifMatch !== undefined) {
      return await putConditionally(bucket, conditions, key, source, { ifMatch: ifMatch ?? null, signal });
    }
    const whole = await source.readWhole(bucket.partBytes);
    return await (whole
      ? putInOneRequest(bucket, key, whole, signal)
      : putInParts(bucket, key, source, signal));
  } catch (error) {
    closeBody(body);
    signal?.throwIfAborted();
    if (source.failure) throw source.failure.reason;
    throw toStorageError(error);
  }
}

async function putInOneRequest(
  bucket: Bucket,
  key: string,
  body: Buffer,
  signal: AbortSignal | undefined,
): Promise<PutResult> {
  const input: PutObjectCommandInput = { ...bucket.buildAddress(key), ...buildPutHeaders(key), Body: body };
  try {
    const { ETag } = await bucket.client.send(new PutObjectCommand(input), { abortSignal: signal });
    return { key, bytes: body.length, etag: unquoteEtag(ETag) };
  } catch (error) {
    // The server has stored other bytes: delete them, so that no reader finds them.
    if (error instanceof ChecksumMismatch) await deleteKeys(bucket, [key]).catch(() => undefined);
    throw error;
  }
}
