/** The conformance suite on MinIO, if Docker is available. */
import { randomBytes } from 'node:crypto';
import { startMinio } from '../../support/minio.ts';
import { createBucket, openS3Storage } from '../../support/s3.ts';
import { objectStorageConformance } from './conformance/index.ts';
import { createS3UnderTest } from './s3-fixture.ts';

const minio = await startMinio();

if (minio === null) {
  test('NOT RUN: the object storage on MinIO (no Docker or no image)', () => expect(minio).toBeNull());
} else {
  afterAll(() => minio.stop());

  objectStorageConformance('MinIO', () => createS3UnderTest(minio));

  test('multipart uploads, composed objects and signed URLs', async () => {
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
