/**
 * A small object really written, read and removed: at start, to say clearly what is wrong with bucket or
 * credentials and to learn what the server's ETags are; afterwards for the health checks.
 */
import type { ErrorCode } from '@millrace/contracts';
import { createHash, randomUUID } from 'node:crypto';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { Unavailable } from '#domain';
import type { Bucket } from './bucket.ts';
import { deleteKeys } from './delete-keys.ts';
import { toStorageError } from './s3-errors.ts';
import { parseMd5 } from './checksums.ts';

/** No key starts with a dot, so what is in here can be neither read nor listed. */
export const hiddenFolder = '.millrace/';

export function createProbeKey(): string {
  return `${hiddenFolder}${randomUUID()}`;
}

export async function probe(bucket: Bucket): Promise<void> {
  const key = createProbeKey();
  const content = Buffer.from(key);
  const { ETag, ...answer } = await bucket.client.send(
    new PutObjectCommand({ ...bucket.buildAddress(key), Body: content }),
  );
  try {
    const { Body } = await bucket.client.send(new GetObjectCommand(bucket.buildAddress(key)));
    if (!content.equals(await Body!.transformToByteArray())) {
      throw new Unavailable('The object store read back other bytes than were written.', {
        code: 'storage_failed',
      });
    }
  } finally {
    await deleteKeys(bucket, [key]);
  }
  bucket.etagFormat.isMd5 = parseMd5(ETag, answer) === createHash('md5').update(content).digest('hex');
}

/** @throws Unavailable with a message for whoever starts Millrace: what is missing, and what would mend it. */
export async function assertUsable(bucket: Bucket): Promise<void> {
  try {
    // A listing before the probe: unlike HEAD of the bucket it comes with a body that says what is wrong.
    await bucket.client.send(
      new ListObjectsV2Command({ Bucket: bucket.name, Prefix: bucket.prefix, MaxKeys: 1 }),
    );
    await probe(bucket);
  } catch (error) {
    const failure = toStorageError(error);
    if (!(failure instanceof Unavailable)) throw failure;
    throw new Unavailable(`The object store's bucket ${bucket.name} can't be used: ${buildAdvice(failure)}`, {
      code: failure.code as ErrorCode,
      cause: failure.cause ?? failure,
    });
  }
}

function buildAdvice({ code, message }: Unavailable): string {
  switch (code) {
    case 'storage_no_bucket':
      return 'it does not exist. Create it, or set S3_BUCKET to one that does.';
    case 'storage_unreachable':
      return 'nothing answers at S3_ENDPOINT.';
    case 'storage_misplaced':
      return 'it is in another region than S3_REGION.';
    case 'storage_denied':
      return `${message.replace(/\.$/, '')} (S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY).`;
    default:
      return message;
  }
}
