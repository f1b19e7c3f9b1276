/** The conformance suite on a real S3 server, then what only S3 can do, seen by another client. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import type { ObjectStorage } from '#storage';
import { createBucket, describeOnS3, openS3Storage, type TestBucket } from '../../support/s3.ts';
import { fails, listKeys } from './conformance/subject.ts';
import { MiB, toChunks } from './s3-fixture.ts';

describeOnS3('the S3 storage', (server) => {
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

  describe('with another client', () => {
    test('reads what the storage wrote, with its content type', async () => {
      const large = randomBytes(20 * MiB + 1);
      await objects.put('a/small.jsonl', Buffer.from('{}\n'));
      const { etag } = await objects.put('a/large.mp4', toChunks(large));
      expect((await bucket.read('a/small.jsonl')).toString()).toBe('{}\n');
      expect((await bucket.read('a/large.mp4')).equals(large)).toBe(true);
      expect(await bucket.minioClient.statObject(bucket.bucket, 'a/large.mp4')).toMatchObject({
        size: large.length,
        etag: expect.stringMatching(/-3$/), // three parts: 8 MiB, 8 MiB and the rest
        metaData: { 'content-type': 'video/mp4' },
      });
      expect((await bucket.minioClient.statObject(bucket.bucket, 'a/large.mp4')).etag).toBe(etag);
      await objects.delete(['a/small.jsonl']);
      expect(await bucket.listKeys()).toEqual(['a/large.mp4']);
    });

    test('the storage reads, lists and deletes what the other client wrote', async () => {
      const large = randomBytes(17 * MiB);
      await bucket.minioClient.putObject(bucket.bucket, 'b/small.json', Buffer.from('[]'));
      await bucket.minioClient.putObject(bucket.bucket, 'b/large.bin', Readable.from(toChunks(large)));
      expect((await objects.read('b/small.json', { expectedBytes: 2 })).toString()).toBe('[]');
      expect((await objects.read('b/large.bin')).equals(large)).toBe(true);
      expect(
        (await objects.read('b/large.bin', { start: 9_999_999, end: 10_000_009 })).equals(
          large.subarray(9_999_999, 10_000_010),
        ),
      ).toBe(true);
      expect(await objects.head('b/small.json')).toMatchObject({
        bytes: 2,
        contentType: 'application/json',
      });
      expect(await listKeys(objects)).toEqual(['b/large.bin', 'b/small.json']);
      await objects.delete(['b/small.json', 'b/large.bin']);
      expect(await bucket.listKeys()).toEqual([]);
    });

    test('folders of a console and invalid keys are not listed', async () => {
      await bucket.minioClient.putObject(bucket.bucket, 'folder/', Buffer.alloc(0));
      await bucket.minioClient.putObject(bucket.bucket, 'a name with spaces', Buffer.from('x'));
      await objects.put('folder/k', Buffer.from('x'));
      expect(await listKeys(objects)).toEqual(['folder/k']);
    });
  });

  test('storages with two prefixes in one bucket do not see each other', async () => {
    const [first, second] = await Promise.all(
      ['one/', 'two/'].map((prefix) => openS3Storage(bucket, { prefix })),
    );
    await first!.put('k', Buffer.from('1'));
    await second!.put('k', toChunks(Buffer.alloc(9 * MiB, '2')), { ifNoneMatch: '*' });
    await second!.put('l', Buffer.from('2'));
    expect([await listKeys(first!), await listKeys(second!)]).toEqual([['k'], ['k', 'l']]);
    expect((await first!.read('k')).toString()).toBe('1');
    await second!.delete(['k', 'l']);
    expect(await bucket.listKeys()).toEqual(['one/k']);
    const url = await first!.signedUrl('k', { method: 'GET', expiresInS: 60 });
    expect(await (await fetch(url)).text()).toBe('1');
    await Promise.all([first!.close(), second!.close()]);
  });

  test('all operations work with a CRC-32 in addition to the other checksums', async () => {
    const withCrc = await openS3Storage(bucket, { checksums: 'when_supported' });
    const body = randomBytes(18 * MiB);
    await withCrc.put('small', body.subarray(0, 1000));
    await withCrc.put('large', toChunks(body));
    await withCrc.put('large-once', toChunks(body), { ifNoneMatch: '*' });
    await withCrc.compose!(
      [
        { key: 'small', bytes: 1000 },
        { key: 'large', bytes: body.length },
      ],
      'both',
    );
    expect((await withCrc.read('small')).equals(body.subarray(0, 1000))).toBe(true);
    for (const key of ['large', 'large-once']) expect((await bucket.read(key)).equals(body)).toBe(true);
    expect((await bucket.read('both')).length).toBe(body.length + 1000);
    const put = await withCrc.signedUrl('up', { method: 'PUT', expiresInS: 60 });
    expect((await fetch(put, { method: 'PUT', body: 'sent' })).status).toBe(200);
    await withCrc.delete(['small', 'large', 'large-once', 'both']);
    expect(await bucket.listKeys()).toEqual(['up']);
    await withCrc.close();
  });

  describe('signed URLs', () => {
    test('a GET URL reads one object with its file name and type, and allows nothing else', async () => {
      await objects.put('out/x.jsonl', Buffer.from('line\n'));
      await objects.put('out/y.jsonl', Buffer.from('other\n'));
      const filename = 'mine & "yours", für alle.jsonl';
      const url = await objects.signedUrl('out/x.jsonl', { method: 'GET', expiresInS: 60, filename });
      const response = await fetch(url);
      expect([response.status, await response.text()]).toEqual([200, 'line\n']);
      expect(response.headers.get('content-type')).toBe('application/jsonl');
      expect(decodeURIComponent(response.headers.get('content-disposition')!.split("UTF-8''")[1]!)).toBe(
        filename,
      );
      expect((await fetch(url.replace('x.jsonl', 'y.jsonl'))).status).toBe(403);
      expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
      expect(url).not.toContain(bucket.secretAccessKey);
    });

    test('a PUT URL writes one object of the signed type', async () => {
      const url = await objects.signedUrl('up/x.jsonl', {
        method: 'PUT',
        expiresInS: 60,
        contentType: 'application/jsonl',
      });
      const put = (type: string) =>
        fetch(url, { method: 'PUT', body: 'sent\n', headers: { 'content-type': type } });
      expect((await put('text/html')).status).toBe(403);
      expect((await put('application/jsonl')).status).toBe(200);
      expect((await objects.read('up/x.jsonl')).toString()).toBe('sent\n');
      expect((await fetch(url)).status).toBe(403);
    });

    test('URLs expire on time', async () => {
      await objects.put('k', Buffer.from('x'));
      const url = await objects.signedUrl('k', { method: 'GET', expiresInS: 1 });
      expect((await fetch(url)).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 2_100));
      expect((await fetch(url)).status).toBe(403);
      for (const expiresInS of [0, 1.5, 604_801]) {
        await expect(objects.signedUrl('k', { method: 'GET', expiresInS })).rejects.toEqual(
          fails('invalid_request'),
        );
      }
    });
  });

  describe('a start that fails says what to fix and has no secret in its error', () => {
    const openAndCatch = async (options: object): Promise<Error & { code: string }> => {
      const failure = await openS3Storage(bucket, { maxAttempts: 2, ...options }).then(
        () => null,
        (error: unknown) => error as Error & { code: string },
      );
      expect(failure).toMatchObject({ name: 'Unavailable', status: 503 });
      expect(inspect(failure, { depth: 9 })).not.toMatch(/hunter2|millrace-secret|AWS4-HMAC|Signature=/);
      return failure!;
    };

    test('missing bucket', async () => {
      const failure = await openAndCatch({ bucket: 'millrace-none' });
      expect(failure.code).toBe('storage_no_bucket');
      expect(failure.message).toBe(
        "The bucket millrace-none of the object storage can't be used: it does not exist. Create it, or set S3_BUCKET to an existing bucket.",
      );
    });

    test.each([
      ['secret', { secretAccessKey: 'hunter2' }],
      ['key', { accessKeyId: 'hunter2' }],
    ])('a wrong %s', async (_, options) => {
      const failure = await openAndCatch(options);
      expect(failure.code).toBe('storage_denied');
      expect(failure.message).toContain('does not accept the credentials');
      expect(failure.message).toContain('S3_ACCESS_KEY_ID');
    });

    test('no server', async () => {
      const failure = await openAndCatch({ endpoint: 'http://127.0.0.1:9' });
      expect([failure.code, failure.message]).toEqual([
        'storage_unreachable',
        expect.stringContaining('no server responds at S3_ENDPOINT'),
      ]);
    });

    describe('an upload in parts that ends early leaves no parts', () => {
      const body = randomBytes(30 * MiB);

      test('aborted, at whatever moment', async () => {
        for (const atBytes of [9 * MiB, 17 * MiB, 29 * MiB]) {
          const controller = new AbortController();
          const reason = new Error('cancelled');
          async function* watched(): AsyncGenerator<Buffer> {
            let sent = 0;
            for await (const chunk of inChunks(body)) {
              yield chunk;
              if ((sent += chunk.length) > atBytes) controller.abort(reason);
            }
          }
          const put = objects.put('k', watched(), { signal: controller.signal });
          await expect(put).rejects.toBe(reason);
          expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], []]);
        }
      });

      test('by a body that fails or stalls after its first parts', async () => {
        const failing = async function* (): AsyncGenerator<Buffer> {
          yield* inChunks(body);
          throw new Error('client left');
        };
        await expect(objects.put('k', failing())).rejects.toThrow('client left');
        expect(await bucket.listUnfinishedUploads()).toEqual([]);
        const { promise: stalls, resolve } = Promise.withResolvers<void>();
        const stalling = async function* (): AsyncGenerator<Buffer> {
          yield* inChunks(body);
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

    describe('the sweep', () => {
      test('takes uploads and probes that nothing was added to for so long, and no others', async () => {
        await objects.put('kept', Buffer.from('x'));
        await bucket.minioClient.initiateNewMultipartUpload(bucket.bucket, 'dead/upload', {});
        await bucket.minioClient.putObject(bucket.bucket, '.millrace/dead-probe', Buffer.from('x'));
        expect(await objects.cleanUpUnfinished(60_000)).toBe(0);
        expect(await bucket.listUnfinishedUploads()).toEqual(['dead/upload']);
        expect(await objects.cleanUpUnfinished(-60_000)).toBe(2); // by a clock that is a minute on
        expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], ['kept']]);
      });

      test('is done at start', async () => {
        await bucket.minioClient.initiateNewMultipartUpload(bucket.bucket, 'dead/upload', {});
        await (await openS3Storage(bucket)).close();
        expect(await bucket.listUnfinishedUploads()).toEqual(['dead/upload']);
        await (await openS3Storage(bucket, { staleAfterMs: -60_000 })).close();
        expect(await bucket.listUnfinishedUploads()).toEqual([]);
      });

      test('of one prefix leaves the others alone', async () => {
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
        ['small ones only', [10, 0, 2000, 5]],
        ['one', [9 * MiB]],
        ['large ones only', [9 * MiB, 8 * MiB, 10 * MiB]],
        ['a mixture', [1, 20 * MiB, 0, 3 * MiB, 3 * MiB, 3 * MiB, 17, 12 * MiB, 4]],
        ['nothing', []],
        ['empty ones', [0, 0]],
      ])('%s', async (_, sizes) => {
        const { whole, sources } = await put(sizes);
        const made = await objects.compose!(sources, 'whole.jsonl');
        expect(made).toEqual({ key: 'whole.jsonl', bytes: whole.length, etag: expect.any(String) });
        expect((await bucket.read('whole.jsonl')).equals(whole)).toBe(true);
        expect((await objects.head('whole.jsonl'))!.etag).toBe(made.etag);
        expect((await buffer(readSegments(objects, sources))).equals(whole)).toBe(true);
      });

      test('a source that is missing or of another size is damage, and nothing is left', async () => {
        const { sources } = await put([9 * MiB, 100, 9 * MiB, 10]);
        const with_ = (at: number, change: object) =>
          sources.map((s, i) => (i === at ? { ...s, ...change } : s));
        for (const wrong of [
          with_(0, { key: 's/none' }),
          with_(1, { key: 's/none' }),
          with_(1, { bytes: 99 }),
          with_(0, { bytes: 9 * MiB - 1 }),
          with_(0, { bytes: 9 * MiB + 1 }),
          with_(2, { bytes: 10 * MiB }),
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

    describe('signed URLs', () => {
      test('get one object, under a name and a type, and nothing else', async () => {
        await objects.put('out/x.jsonl', Buffer.from('line\n'));
        await objects.put('out/y.jsonl', Buffer.from('other\n'));
        const filename = 'mine & "yours", für alle.jsonl';
        const url = await objects.signedUrl('out/x.jsonl', { method: 'GET', expiresInS: 60, filename });
        const answer = await fetch(url);
        expect([answer.status, await answer.text()]).toEqual([200, 'line\n']);
        expect(answer.headers.get('content-type')).toBe('application/jsonl');
        expect(decodeURIComponent(answer.headers.get('content-disposition')!.split("UTF-8''")[1]!)).toBe(
          filename,
        );
        expect((await fetch(url.replace('x.jsonl', 'y.jsonl'))).status).toBe(403);
        expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
        expect(url).not.toContain(bucket.secretAccessKey);
      });

      test('put one object, of the type that was signed', async () => {
        const url = await objects.signedUrl('up/x.jsonl', {
          method: 'PUT',
          expiresInS: 60,
          contentType: 'application/jsonl',
        });
        const put = (type: string) =>
          fetch(url, { method: 'PUT', body: 'sent\n', headers: { 'content-type': type } });
        expect((await put('text/html')).status).toBe(403);
        expect((await put('application/jsonl')).status).toBe(200);
        expect((await objects.read('up/x.jsonl')).toString()).toBe('sent\n');
        expect((await fetch(url)).status).toBe(403);
      });

      test('expire, and not too late', async () => {
        await objects.put('k', Buffer.from('x'));
        const url = await objects.signedUrl('k', { method: 'GET', expiresInS: 1 });
        expect((await fetch(url)).status).toBe(200);
        await new Promise((resolve) => setTimeout(resolve, 2_100));
        expect((await fetch(url)).status).toBe(403);
        for (const expiresInS of [0, 1.5, 604_801]) {
          await expect(objects.signedUrl('k', { method: 'GET', expiresInS })).rejects.toEqual(
            fails('invalid_request'),
          );
        }
      });
    });

    describe('a start that can not succeed says what to mend, and no secret', () => {
      const refused = async (options: object): Promise<Error & { code: string }> => {
        const failure = await openS3Storage(bucket, { maxAttempts: 2, ...options }).then(
          () => null,
          (error: unknown) => error as Error & { code: string },
        );
        expect(failure).toMatchObject({ name: 'Unavailable', status: 503 });
        expect(inspect(failure, { depth: 9 })).not.toMatch(/hunter2|millrace-secret|AWS4-HMAC|Signature=/);
        return failure!;
      };

      test('no such bucket', async () => {
        const failure = await refused({ bucket: 'millrace-none' });
        expect(failure.code).toBe('storage_no_bucket');
        expect(failure.message).toMatch(
          /^S3_BUCKET: the bucket 'millrace-none' at [\w.:]+ does not exist\. Create it, or set S3_BUCKET to one that does\.$/,
        );
      });

      test.each([
        ['secret', { secretAccessKey: 'hunter2' }],
        ['key', { accessKeyId: 'hunter2' }],
      ])('a wrong %s', async (_, options) => {
        const failure = await refused(options);
        expect(failure.code).toBe('storage_denied');
        expect(failure.message).toContain('does not accept the credentials');
        expect(failure.message).toContain('S3_ACCESS_KEY_ID');
      });

      test('nothing that answers', async () => {
        const failure = await refused({ endpoint: 'http://127.0.0.1:9' });
        expect([failure.code, failure.message]).toEqual([
          'storage_unreachable',
          expect.stringContaining(
            'at 127.0.0.1:9 cannot be reached. Start the server, or correct S3_ENDPOINT.',
          ),
        ]);
      });

      test.each([
        [200, 'text/html', '<!doctype html><title>Console</title>'],
        [404, 'text/html', '<!doctype html><title>Not found</title>'],
        [405, 'text/plain', 'Method not allowed'],
        [200, 'application/json', '{}'],
      ])('a server that answers %i with %s and is no S3', async (status, type, body) => {
        const server = createServer((_, response) => {
          response.writeHead(status, { 'content-type': type }).end(body);
        }).listen(0, '127.0.0.1');
        await once(server, 'listening');
        const { port } = server.address() as AddressInfo;
        const failure = await refused({ endpoint: `http://127.0.0.1:${port}` });
        expect(failure.message).toMatch(/at 127\.0\.0\.1:\d+ does not answer as S3 does\. Set S3_ENDPOINT/);
        await new Promise((resolve) => server.close(resolve).closeAllConnections());
      });

      test('TLS where there is none', async () => {
        const failure = await refused({ endpoint: String(bucket.endpoint).replace('http:', 'https:') });
        expect(failure.message).toMatch(
          /does not speak TLS\. Write http:\/\/ instead of https:\/\/ in S3_ENDPOINT/,
        );
      });

      test('options that contradict each other', async () => {
        for (const options of [
          { secretAccessKey: undefined },
          { prefix: 'no-slash' },
          { prefix: '../' },
          { partBytes: 5 * MiB },
        ]) {
          await expect(openS3Storage(bucket, options)).rejects.toMatchObject({ name: 'InvalidInput' });
        }
      });
    });

    test('a bucket that goes away under a running store is unavailable, not empty', async () => {
      const gone = await createBucket(deps);
      const other = await openS3Storage(gone);
      await gone.remove();
      for (const call of [
        () => other.put('k', Buffer.from('x')),
        () => other.get('k'),
        () => keysOf(other),
        () => other.probe(),
      ]) {
        await expect(openS3Storage(bucket, options)).rejects.toMatchObject({ name: 'InvalidInput' });
      }
    });
  });

  test('a bucket that is deleted while the storage is open is unavailable, not empty', async () => {
    const deleted = await createBucket(server);
    const other = await openS3Storage(deleted);
    await deleted.remove();
    for (const call of [
      () => other.put('k', Buffer.from('x')),
      () => other.get('k'),
      () => listKeys(other),
      () => other.probe(),
    ]) {
      await expect(call()).rejects.toEqual(fails('storage_no_bucket'));
    }
    await other.close();
  });
});
