/** S3 as it fails: every fault is retried or ends in one clear error, in time, and leaves no upload behind. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { inspect } from 'node:util';
import type { ObjectStorage } from '#storage';
import { startS3Proxy, type Fault, type Operation, type S3Proxy } from '../../support/s3-proxy.ts';
import {
  createBucket,
  findS3Server,
  openS3Storage,
  type S3Server,
  type TestBucket,
} from '../../support/s3.ts';

const server = findS3Server();
const MiB = 1024 * 1024;
const fails = (code: string) => expect.objectContaining({ name: 'Unavailable', code });
const error500: Fault = { kind: 'status', status: 500, code: 'InternalError' };
const slowDown: Fault = { kind: 'status', status: 503, code: 'SlowDown' };

async function* inChunks(body: Buffer, size = 100_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

function onS3(deps: S3Server): void {
  describe('S3 that fails', () => {
    let bucket: TestBucket;
    let proxy: S3Proxy;
    let objects: ObjectStorage;
    const large = randomBytes(20 * MiB);
    const small = randomBytes(100_000);
    const timeouts = { connectMs: 5_000, idleMs: 1_500, responseMs: 15_000 };
    beforeEach(async () => {
      bucket = await createBucket(deps);
      proxy = await startS3Proxy(deps.endpoint);
      objects = await openS3Storage({ ...bucket, endpoint: proxy.endpoint }, { timeouts });
    });
    afterEach(async () => {
      await objects.close();
      await proxy.close();
      expect(await bucket.listUnfinishedUploads()).toEqual([]);
      await bucket.remove();
    });

    /** Everything that a store does, in one object each. */
    async function everything(): Promise<void> {
      await objects.put('small', small);
      await objects.put('large', inChunks(large));
      await objects.put('once', small, { ifNoneMatch: '*' });
      expect((await objects.read('small')).equals(small)).toBe(true);
      expect((await buffer((await objects.get('large')).stream)).equals(large)).toBe(true);
      expect((await objects.head('large'))!.bytes).toBe(large.length);
      await objects.compose!(
        [
          { key: 'large', bytes: large.length },
          { key: 'small', bytes: small.length },
        ],
        'both',
      );
      const keys: string[] = [];
      for await (const { key } of objects.list('')) keys.push(key);
      expect(keys).toEqual(['both', 'large', 'once', 'small']);
      await objects.probe();
      await objects.delete(keys);
      expect(await bucket.listKeys()).toEqual([]);
    }

    const operations: Operation[] = ['put', 'get', 'head', 'list', 'delete', 'create', 'part', 'complete'];
    const passing: [string, Fault][] = [
      ['500', error500],
      ['503 SlowDown', slowDown],
      ['silence longer than the time-out', { kind: 'slow', ms: 3_500 }],
    ];
    test.each(passing)('%s once of each operation: everything goes on', async (_, fault) => {
      for (const operation of operations) proxy.inject(operation, fault, 1);
      await everything();
      // What an unanswered request began, nobody knew of: it is for the sweep.
      if (fault.kind === 'slow') await objects.cleanUpUnfinished(-60_000);
    });

    test('slow, but not too slow: nothing is sent twice', async () => {
      const patient = await openS3Storage({ ...bucket, endpoint: proxy.endpoint });
      proxy.operations.length = 0;
      for (const operation of operations) proxy.inject(operation, { kind: 'slow', ms: 150 });
      await patient.put('large', inChunks(large));
      expect((await patient.read('large')).equals(large)).toBe(true);
      expect(proxy.operations.toSorted()).toEqual([
        'complete',
        'create',
        'get',
        'head',
        'part',
        'part',
        'part',
      ]);
      await patient.close();
    });

    const lasting: [Fault, string][] = [
      [error500, 'storage_failed'],
      [slowDown, 'storage_busy'],
      [{ kind: 'status', status: 507, code: 'InsufficientStorage' }, 'storage_full'],
      [{ kind: 'status', status: 403, code: 'AccessDenied' }, 'storage_denied'],
    ];
    test.each(lasting)('%p and no end: one clear error for each call', async (fault, code) => {
      await objects.put('k', small);
      for (const operation of operations) proxy.inject(operation, fault);
      const calls: (() => Promise<unknown>)[] = [
        () => objects.put('x', small),
        () => objects.put('x', inChunks(large)),
        () => objects.put('x', small, { ifNoneMatch: '*' }),
        () => objects.get('k'),
        () => objects.read('k'),
        () => objects.head('k'),
        () => objects.delete(['k']),
        () => objects.list('')[Symbol.asyncIterator]().next(),
        () => objects.probe(),
      ];
      for (const call of calls) {
        const failure = await call().then(
          () => null,
          (error: unknown) => error,
        );
        expect(failure).toEqual(fails(code));
        expect(inspect(failure, { depth: 9 })).not.toMatch(/millrace-secret|AWS4-HMAC/);
      }
      expect(await bucket.listKeys()).toEqual(['k']);
    });

    test.each(['create', 'part', 'complete'] as const)(
      'an upload whose %s fails for good is aborted, and its source closed',
      async (operation) => {
        proxy.inject(operation, error500);
        let isClosed = false;
        async function* body(): AsyncGenerator<Buffer> {
          try {
            yield* inChunks(large);
            await new Promise((resolve) => setTimeout(resolve, 3_000)); // the client stalls meanwhile
          } finally {
            isClosed = true;
          }
        }
        await expect(objects.put('k', body())).rejects.toEqual(fails('storage_failed'));
        await new Promise((resolve) => setTimeout(resolve, operation === 'complete' ? 0 : 3_100));
        expect(isClosed).toBe(true);
        expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], []]);
      },
    );

    test('nothing left of S3 in the middle of an upload: an error in time, and the sweep when it is back', async () => {
      for (const each of ['part', 'complete', 'abort', 'head'] as const) proxy.inject(each, error500);
      const began = performance.now();
      await expect(objects.put('k', inChunks(large))).rejects.toEqual(fails('storage_failed'));
      expect(performance.now() - began).toBeLessThan(20_000);
      expect(await bucket.listUnfinishedUploads()).toEqual(['k']);
      proxy.clearFaults();
      expect(await objects.cleanUpUnfinished(60_000)).toBe(0);
      expect(await objects.cleanUpUnfinished(-60_000)).toBe(1);
    });

    describe('the connection breaks', () => {
      test('within the body of a request: sent again', async () => {
        proxy.inject('put', { kind: 'cut-request', afterBytes: 50_000 }, 2);
        proxy.inject('part', { kind: 'cut-request', afterBytes: 3 * MiB }, 2);
        await objects.put('small', small);
        await objects.put('large', inChunks(large));
        expect((await bucket.read('small')).equals(small)).toBe(true);
        expect((await bucket.read('large')).equals(large)).toBe(true);
      });

      test('before the answer to the last request: what was done counts, once', async () => {
        proxy.inject('complete', { kind: 'lost-answer' }, 1);
        const { bytes } = await objects.put('large', inChunks(large));
        expect(bytes).toBe(large.length);
        await objects.put('k', small, { ifNoneMatch: '*' }); // learns what this server does with conditions
        proxy.inject('put', { kind: 'lost-answer', silently: true }, 1);
        const once = await objects.put('once', small, { ifNoneMatch: '*' });
        expect(once.etag).toBe((await objects.head('once'))!.etag);
        await expect(objects.put('once', small, { ifNoneMatch: '*' })).rejects.toMatchObject({
          code: 'conflict',
        });
        proxy.inject('put', { kind: 'lost-answer', silently: true }, 1);
        await objects.put('once', Buffer.from('next'), { ifMatch: once.etag });
        proxy.inject('put', { kind: 'lost-answer', silently: true }, 1);
        await objects.put('once-large', inChunks(large), { ifNoneMatch: '*' });
        expect((await bucket.read('once-large')).equals(large)).toBe(true);
      });

      test('before the answer to the first: the upload that nobody knows of is swept', async () => {
        proxy.inject('create', { kind: 'lost-answer' }, 1);
        await objects.put('large', inChunks(large));
        expect((await bucket.read('large')).equals(large)).toBe(true);
        expect(await objects.cleanUpUnfinished(-60_000)).toBe(1);
      });

      test.each(['cut-answer', 'stall-answer'] as const)(
        'within the body of an answer (%s): the rest is asked for',
        async (kind) => {
          await objects.put('large', inChunks(large));
          proxy.inject('get', { kind, afterBytes: 3 * MiB }, 3);
          expect((await buffer((await objects.get('large')).stream)).equals(large)).toBe(true);
          proxy.inject('get', { kind, afterBytes: 1 * MiB }, 2);
          const part = await objects.read('large', { start: 5, end: 4 * MiB });
          expect(part.equals(large.subarray(5, 4 * MiB + 1))).toBe(true);
        },
      );

      test('within each answer, without a byte of it: an error, not a short object', async () => {
        await objects.put('large', inChunks(large));
        proxy.inject('get', { kind: 'cut-answer', afterBytes: 0 });
        await expect(objects.read('large')).rejects.toEqual(fails('storage_unreachable'));
        const { stream } = await objects.get('large').catch(() => ({ stream: null }));
        if (stream) await expect(buffer(stream)).rejects.toEqual(fails('storage_unreachable'));
      });

      test('and the object is another one afterwards: an error, not a mixture', async () => {
        await objects.put('k', large);
        proxy.inject('get', { kind: 'stall-answer', afterBytes: 1 * MiB }, 1);
        const { stream } = await objects.get('k');
        await objects.put('k', randomBytes(20 * MiB));
        await expect(buffer(stream)).rejects.toEqual(fails('storage_failed'));
      });
    });

    test('a reader that pauses for longer than the time-out goes on where it was', async () => {
      await objects.put('large', inChunks(large));
      const { stream } = await objects.get('large');
      const read: Buffer[] = [];
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        if (read.push(chunk) === 3) await new Promise((resolve) => setTimeout(resolve, 3_000));
      }
      expect(Buffer.concat(read).equals(large)).toBe(true);
    });

    describe('bytes that are not what they were', () => {
      test('an ETag of other bytes: put again', async () => {
        proxy.inject('put', { kind: 'wrong-etag' }, 2);
        proxy.inject('part', { kind: 'wrong-etag' }, 2);
        await objects.put('small', small);
        await objects.put('large', inChunks(large));
        expect((await bucket.read('small')).equals(small)).toBe(true);
        expect((await bucket.read('large')).equals(large)).toBe(true);
      });

      test('an ETag that is always wrong: an error, and nothing there for a reader', async () => {
        proxy.inject('put', { kind: 'wrong-etag' });
        proxy.inject('part', { kind: 'wrong-etag' });
        await expect(objects.put('small', small)).rejects.toEqual(fails('storage_failed'));
        await expect(objects.put('large', inChunks(large))).rejects.toEqual(fails('storage_failed'));
        expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], []]);
      });

      test('a byte that is another on the way here: read again, and damage where it stays', async () => {
        await objects.put('small', small);
        proxy.inject('get', { kind: 'flip' }, 1);
        expect((await objects.read('small')).equals(small)).toBe(true);
        proxy.inject('get', { kind: 'flip' });
        const damaged = expect.objectContaining({
          code: 'segment_damaged',
          key: 'small',
          message: expect.stringContaining('other bytes than its checksum says'),
        });
        await expect(objects.read('small')).rejects.toEqual(damaged);
        await expect(buffer((await objects.get('small')).stream)).rejects.toEqual(damaged);
        proxy.inject('get', { kind: 'wrong-etag' });
        await expect(objects.read('small')).rejects.toEqual(damaged);
      });
    });

    test('a start before a server that answers nothing but errors fails in time', async () => {
      for (const operation of operations) proxy.inject(operation, slowDown);
      const starting = openS3Storage({ ...bucket, endpoint: proxy.endpoint }, { timeouts });
      await expect(starting).rejects.toEqual(fails('storage_busy'));
    });
  });
}

if (server === null) {
  test('NOT RUN: faults of S3 (no server is named)', () => expect(findS3Server()).toBeNull());
} else {
  onS3(server);
}
