/** Putting an object: in one request where it is small, in parts where it is not, and under a condition in one always. */
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { Conflict } from '#domain';
import { dismiss } from '../body.ts';
import { assertContentType } from '../content-types.ts';
import type { ObjectBody, PutOptions, PutResult } from '../store.ts';
import type { Bucket } from './bucket.ts';
import type { Conditions } from './conditions.ts';
import { putIf } from './conditional.ts';
import { deleteKeys } from './deleting.ts';
import { translate } from './faults.ts';
import { OtherBytes, unquoted } from './integrity.ts';
import { headers } from './marks.ts';
import { putParts } from './multipart.ts';
import { Source } from './source.ts';

export async function putObject(
  bucket: Bucket,
  conditions: Conditions,
  key: string,
  body: ObjectBody,
  options: PutOptions,
): Promise<PutResult> {
  const { signal, ifNoneMatch, ifMatch } = options;
  const source = new Source(body, signal);
  try {
    assertContentType(key, options.contentType);
    if (ifNoneMatch !== undefined && ifMatch !== undefined) {
      throw new Conflict('These two conditions exclude each other.');
    }
    signal?.throwIfAborted();
    if (ifNoneMatch !== undefined || ifMatch !== undefined) {
      return await putIf(bucket, conditions, key, source, { ifMatch: ifMatch ?? null, signal });
    }
    const whole = await source.whole(bucket.partBytes);
    return await (whole ? putWhole(bucket, key, whole, signal) : putParts(bucket, key, source, signal));
  } catch (error) {
    dismiss(body);
    signal?.throwIfAborted();
    if (source.failure) throw source.failure.reason;
    throw translate(error);
  }
}

async function putWhole(
  bucket: Bucket,
  key: string,
  body: Buffer,
  signal: AbortSignal | undefined,
): Promise<PutResult> {
  const input: PutObjectCommandInput = { ...bucket.at(key), ...headers(key), Body: body };
  try {
    const { ETag } = await bucket.client.send(new PutObjectCommand(input), { abortSignal: signal });
    return { key, bytes: body.length, etag: unquoted(ETag) };
  } catch (error) {
    // Acknowledged, but not for what was sent: no reader is to find it.
    if (error instanceof OtherBytes) await deleteKeys(bucket, [key]).catch(() => undefined);
    throw error;
  }
}
