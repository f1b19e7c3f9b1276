/** The conformance suite on MinIO, one tested choice among others, where Docker is found. */
import { randomBytes } from 'node:crypto';
import { startMinio } from '../../support/minio.ts';
import { createBucket, openS3Storage } from '../../support/s3.ts';
import { objectStorageConformance } from './conformance.ts';

const minio = await startMinio();

if (minio === null) {
  test('NOT RUN: the object store on MinIO (no Docker, or not its image)', () => expect(minio).toBeNull());
} else {
  afterAll(() => minio.stop());

  objectStorageConformance('MinIO', async () => {
    const bucket = await createBucket(minio);
    return {
      objects: await openS3Storage(bucket),
      countUnfinished: async () =>
        (await bucket.listUnfinishedUploads()).length +
        (await bucket.listKeys()).filter((key) => key.startsWith('.')).length,
      cleanup: () => bucket.remove(),
      memoryLimit: { bodyMB: 300, growthMB: 150 },
    };
  });

  test('parts, their composition and signed addresses', async () => {
    const bucket = await createBucket(minio);
    const objects = await openS3Storage(bucket, { checksums: 'when_supported' });
    const body = randomBytes(9 * 1024 * 1024);
    const { bytes } = await objects.put(
      'a',
      (async function* () {
        yield body;
      })(),
    );
    await objects.compose!(
      [
        { key: 'a', bytes },
        { key: 'a', bytes },
      ],
      'twice',
    );
    expect((await bucket.read('twice')).equals(Buffer.concat([body, body]))).toBe(true);
    const url = await objects.signedUrl('twice', { method: 'GET', expiresInS: 60 });
    expect((await (await fetch(url)).bytes()).length).toBe(2 * bytes);
    await objects.close();
    await bucket.remove();
  });
}
