/** The conformance suite on MinIO, one tested choice among others, where Docker is found. */
import { randomBytes } from 'node:crypto';
import { startMinio } from '../../support/minio.ts';
import { createBucket, openStore } from '../../support/s3.ts';
import { storeConformance } from './conformance.ts';

const minio = await startMinio();

if (minio === null) {
  test('NOT RUN: the object store on MinIO (no Docker, or not its image)', () => expect(minio).toBeNull());
} else {
  afterAll(() => minio.stop());

  storeConformance('MinIO', async () => {
    const bucket = await createBucket(minio);
    return {
      store: await openStore(bucket),
      leftovers: async () =>
        (await bucket.uploads()).length + (await bucket.keys()).filter((key) => key.startsWith('.')).length,
      cleanup: () => bucket.remove(),
      flat: { bodyMB: 300, growthMB: 150 },
    };
  });

  test('parts, their composition and signed addresses', async () => {
    const bucket = await createBucket(minio);
    const store = await openStore(bucket, { checksums: 'when_supported' });
    const body = randomBytes(9 * 1024 * 1024);
    const { bytes } = await store.put(
      'a',
      (async function* () {
        yield body;
      })(),
    );
    await store.compose!(
      [
        { key: 'a', bytes },
        { key: 'a', bytes },
      ],
      'twice',
    );
    expect((await bucket.read('twice')).equals(Buffer.concat([body, body]))).toBe(true);
    const url = await store.signedUrl('twice', { method: 'GET', expiresInS: 60 });
    expect((await (await fetch(url)).bytes()).length).toBe(2 * bytes);
    await store.close();
    await bucket.remove();
  });
}
