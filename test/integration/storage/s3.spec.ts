/** What only S3 has: other clients of the bucket, prefixes, checksums, its own signed URLs, and the checks at start. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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
      expect(failure.message).toMatch(
        /^S3_BUCKET: the bucket 'millrace-none' at [\w.:]+ does not exist\. Create it, or set S3_BUCKET to an existing bucket\.$/,
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
      const web = createServer((_, response) => {
        response.writeHead(status, { 'content-type': type }).end(body);
      }).listen(0, '127.0.0.1');
      await once(web, 'listening');
      const { port } = web.address() as AddressInfo;
      const failure = await openAndCatch({ endpoint: `http://127.0.0.1:${port}` });
      expect(failure.message).toMatch(/at 127\.0\.0\.1:\d+ does not answer as S3 does\. Set S3_ENDPOINT/);
      await new Promise((resolve) => web.close(resolve).closeAllConnections());
    });

    test('TLS to a server without TLS', async () => {
      const web = createServer().listen(0, '127.0.0.1');
      await once(web, 'listening');
      const { port } = web.address() as AddressInfo;
      const failure = await openAndCatch({ endpoint: `https://127.0.0.1:${port}` });
      await new Promise((resolve) => web.close(resolve).closeAllConnections());
      expect(failure.message).toMatch(
        /does not speak TLS.* write http:\/\/ instead of https:\/\/ in S3_ENDPOINT/i,
      );
    });

    test('invalid options', async () => {
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
