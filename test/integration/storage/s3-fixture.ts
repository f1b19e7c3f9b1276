/** Shared by the S3 specs: bodies, and the storage under test of the conformance suite. */
import { createBucket, openS3Storage, type S3Server } from '../../support/s3.ts';
import type { StorageUnderTest } from './conformance/subject.ts';

export const MiB = 1024 * 1024;

export async function* toChunks(body: Buffer, size = 100_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

export async function createS3UnderTest(server: S3Server): Promise<StorageUnderTest> {
  const bucket = await createBucket(server);
  return {
    objects: await openS3Storage(bucket),
    countUnfinished: async () =>
      (await bucket.listUnfinishedUploads()).length +
      (await bucket.listKeys()).filter((key) => key.startsWith('.')).length,
    cleanup: () => bucket.remove(),
    // Two parts of 8 MiB are sent at a time, and their garbage waits to be collected.
    memoryLimit: { bodyMB: 200, growthMB: 150 },
  };
}
