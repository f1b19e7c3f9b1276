/**
 * Writes, reads and deletes a small object: at start, for a clear message about the bucket or the credentials and to
 * detect whether ETags are MD5s; later for health checks.
 */
import type { ErrorCode } from '@millrace/contracts';
import { createHash, randomUUID } from 'node:crypto';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { Unavailable } from '#domain';
import type { Bucket } from './bucket.ts';
import { deleteKeys } from './delete-keys.ts';
import { toStorageError } from './s3-errors.ts';
import { parseMd5 } from './checksums.ts';

/** No key starts with a dot, so objects in this folder can't be read or listed. */
export const hiddenFolder = '.millrace/';

export function createProbeKey(): string {
  return `${hiddenFolder}${randomUUID()}`;
}

export async function probe(bucket: Bucket): Promise<void> {
  const key = createProbeKey();
  const content = Buffer.from(key);
  const { ETag, ...response } = await bucket.client.send(
    new PutObjectCommand({ ...bucket.buildAddress(key), Body: content }),
  );
  try {
    const { Body } = await bucket.client.send(new GetObjectCommand(bucket.buildAddress(key)));
    if (!content.equals(await Body!.transformToByteArray())) {
      throw new Unavailable('The object storage returned other bytes than were written.', {
        code: 'storage_failed',
      });
    }
  } finally {
    await deleteKeys(bucket, [key]);
  }
  bucket.etagFormat.isMd5 = parseMd5(ETag, response) === createHash('md5').update(content).digest('hex');
}

/** @throws Unavailable with a message for the operator: what is wrong and how to fix it. */
export async function assertUsable(bucket: Bucket): Promise<void> {
  try {
    // The listing comes first because its error response has a body with the cause; HEAD of the bucket has none.
    await bucket.client.send(
      new ListObjectsV2Command({ Bucket: bucket.name, Prefix: bucket.prefix, MaxKeys: 1 }),
    );
    await probe(bucket);
  } catch (error) {
    const failure = toStorageError(error);
    if (!(failure instanceof Unavailable)) throw failure;
    throw new Unavailable(
      `The bucket ${bucket.name} of the object storage can't be used: ${buildAdvice(failure)}`,
      {
        code: failure.code as ErrorCode,
        cause: failure.cause ?? failure,
      },
    );
  }
}

function buildAdvice({ code, message }: Unavailable): string {
  switch (code) {
    case 'storage_no_bucket':
      return 'it does not exist. Create it, or set S3_BUCKET to an existing bucket.';
    case 'storage_unreachable':
      return 'no server responds at S3_ENDPOINT.';
    case 'storage_misplaced':
      return 'it is not in the region S3_REGION.';
    case 'storage_denied':
      return `${message.replace(/\.$/, '')} (S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY).`;
    default:
      return message;
  }
}
