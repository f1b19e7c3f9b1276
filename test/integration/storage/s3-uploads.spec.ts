/** Uploads to S3: large conditional puts, multipart uploads that end early, their cleanup, and composed objects. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { readSegments, type ObjectStorage } from '#storage';
import { createBucket, describeOnS3, openS3Storage, type TestBucket } from '../../support/s3.ts';
import { fails } from './conformance/subject.ts';
import { MiB, toChunks } from './s3-fixture.ts';

describeOnS3('uploads to S3', (server) => {
  let bucket: TestBucket;
  let objects: ObjectStorage;
  beforeEach(async () => {
    bucket = await createBucket(server);
    objects = await openS3Storage(bucket);
  });
  afterEach(async () => {
    await objects.close();
    expect(await bucket.listUnfinishedUploads()).toEqual([]);
    await bucket.remove();
  });

  describe('conditional puts of streams that are too large for memory', () => {
    const body = randomBytes(17 * MiB); // three parts
    const listTempFiles = async () =>
      (await readdir(tmpdir())).filter((name) => name.startsWith('millrace-put-'));

    test('of concurrent puts with ifNoneMatch one succeeds, in one request', async () => {
      const puts = Array.from({ length: 4 }, () => objects.put('k', toChunks(body), { ifNoneMatch: '*' }));
      const outcomes = await Promise.allSettled(puts);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toEqual(fails('conflict'));
      expect((await bucket.read('k')).equals(body)).toBe(true);
      const md5 = createHash('md5').update(body).digest('hex');
      expect((await objects.head('k'))!.etag).toBe(md5); // not a multipart upload
      expect(await listTempFiles()).toEqual([]);
    });

    test('ifMatch replaces an etag once, also the etag of a multipart upload', async () => {
      const { etag } = await objects.put('k', toChunks(body));
      expect(etag).toMatch(/-3$/);
      const puts = Array.from({ length: 3 }, (_, at) =>
        objects.put('k', toChunks(body.subarray(at)), { ifMatch: etag }),
      );
      const outcomes = await Promise.allSettled(puts);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      await expect(objects.put('k', toChunks(body), { ifMatch: etag })).rejects.toEqual(fails('conflict'));
      expect(await listTempFiles()).toEqual([]);
    });

    test('a body that fails leaves no object and no temporary file', async () => {
      const failing = async function* (): AsyncGenerator<Buffer> {
        yield* toChunks(body);
        throw new Error('client disconnected');
      };
      await expect(objects.put('k', failing(), { ifNoneMatch: '*' })).rejects.toThrow('client disconnected');
      expect([await listTempFiles(), await bucket.listKeys()]).toEqual([[], []]);
    });
  });

  describe('a multipart upload that ends early leaves no parts', () => {
    const body = randomBytes(25 * MiB);

    test('by an abort in any part', async () => {
      for (const atBytes of [9 * MiB, 17 * MiB, 24 * MiB]) {
        const controller = new AbortController();
        const reason = new Error('cancelled');
        async function* observed(): AsyncGenerator<Buffer> {
          let sent = 0;
          for await (const chunk of toChunks(body)) {
            yield chunk;
            if ((sent += chunk.length) > atBytes) controller.abort(reason);
          }
        }
        const put = objects.put('k', observed(), { signal: controller.signal });
        await expect(put).rejects.toBe(reason);
        expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], []]);
      }
    });

    test('by a body that fails, or an abort while it stalls, after the first parts', async () => {
      const failing = async function* (): AsyncGenerator<Buffer> {
        yield* toChunks(body);
        throw new Error('client disconnected');
      };
      await expect(objects.put('k', failing())).rejects.toThrow('client disconnected');
      expect(await bucket.listUnfinishedUploads()).toEqual([]);
      const { promise: stalls, resolve } = Promise.withResolvers<void>();
      const stalling = async function* (): AsyncGenerator<Buffer> {
        yield* toChunks(body);
        resolve();
        await new Promise(() => undefined);
      };
      const controller = new AbortController();
      const put = objects.put('k', stalling(), { signal: controller.signal });
      put.catch(() => undefined);
      await stalls;
      controller.abort();
      await expect(put).rejects.toThrow(/abort/i);
      expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], []]);
    });
  });

  describe('cleanUpUnfinished', () => {
    test('removes uploads and probes that are older than the limit, and nothing else', async () => {
      await objects.put('kept', Buffer.from('x'));
      await bucket.minioClient.initiateNewMultipartUpload(bucket.bucket, 'dead/upload', {});
      await bucket.minioClient.putObject(bucket.bucket, '.millrace/dead-probe', Buffer.from('x'));
      expect(await objects.cleanUpUnfinished(60_000)).toBe(0);
      expect(await bucket.listUnfinishedUploads()).toEqual(['dead/upload']);
      expect(await objects.cleanUpUnfinished(-60_000)).toBe(2); // as if the clock were a minute ahead
      expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], ['kept']]);
    });

    test('runs at start', async () => {
      await bucket.minioClient.initiateNewMultipartUpload(bucket.bucket, 'dead/upload', {});
      await (await openS3Storage(bucket)).close();
      expect(await bucket.listUnfinishedUploads()).toEqual(['dead/upload']);
      await (await openS3Storage(bucket, { staleAfterMs: -60_000 })).close();
      expect(await bucket.listUnfinishedUploads()).toEqual([]);
    });

    test('with a prefix keeps the uploads of other prefixes', async () => {
      for (const key of ['one/x', 'two/x'])
        await bucket.minioClient.initiateNewMultipartUpload(bucket.bucket, key, {});
      const one = await openS3Storage(bucket, { prefix: 'one/', staleAfterMs: -60_000 });
      expect(await bucket.listUnfinishedUploads()).toEqual(['two/x']);
      await one.close();
      await objects.cleanUpUnfinished(-60_000);
    });
  });

  describe('compose', () => {
    async function put(sizes: readonly number[]) {
      const bodies = sizes.map((size) => randomBytes(size));
      const sources = await Promise.all(
        bodies.map(async (body, at) => {
          const { key, bytes } = await objects.put(`s/${at}`, body);
          return { key, bytes, lines: 0 };
        }),
      );
      return { whole: Buffer.concat(bodies), sources };
    }

    test.each([
      ['small objects', [10, 0, 2000, 5]],
      ['one object', [9 * MiB]],
      ['large objects', [9 * MiB, 8 * MiB, 10 * MiB]],
      ['small and large objects', [1, 20 * MiB, 0, 3 * MiB, 3 * MiB, 3 * MiB, 17, 12 * MiB, 4]],
      ['no objects', []],
      ['empty objects', [0, 0]],
    ])('%s', async (_, sizes) => {
      const { whole, sources } = await put(sizes);
      const composed = await objects.compose!(sources, 'whole.jsonl');
      expect(composed).toEqual({ key: 'whole.jsonl', bytes: whole.length, etag: expect.any(String) });
      expect((await bucket.read('whole.jsonl')).equals(whole)).toBe(true);
      expect((await objects.head('whole.jsonl'))!.etag).toBe(composed.etag);
      expect((await buffer(readSegments(objects, sources))).equals(whole)).toBe(true);
    });

    test('a source that is missing or has another size is SegmentDamaged and leaves nothing', async () => {
      const { sources } = await put([9 * MiB, 100, 9 * MiB, 10]);
      const change = (at: number, changed: object) =>
        sources.map((s, i) => (i === at ? { ...s, ...changed } : s));
      for (const wrong of [
        change(0, { key: 's/none' }),
        change(1, { key: 's/none' }),
        change(1, { bytes: 99 }),
        change(0, { bytes: 9 * MiB - 1 }),
        change(0, { bytes: 9 * MiB + 1 }),
        change(2, { bytes: 10 * MiB }),
      ]) {
        await expect(objects.compose!(wrong, 'whole')).rejects.toEqual(fails('segment_damaged'));
        expect(await objects.head('whole')).toBeNull();
        expect(await bucket.listUnfinishedUploads()).toEqual([]);
      }
    });

    test('an abort ends it', async () => {
      const { sources } = await put([9 * MiB, 100, 9 * MiB]);
      const reason = new Error('shut down');
      const aborted = objects.compose!(sources, 'whole', { signal: AbortSignal.abort(reason) });
      await expect(aborted).rejects.toBe(reason);
      const controller = new AbortController();
      const composing = objects.compose!(sources, 'whole', { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 15);
      await expect(composing).rejects.toBe(reason);
      expect(await bucket.listUnfinishedUploads()).toEqual([]);
    });
  });
});
