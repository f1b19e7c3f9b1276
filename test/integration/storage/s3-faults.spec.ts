/** Faults of S3 and of the network: each is retried or ends in one clear error, in time, and leaves no upload behind. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { ObjectStorage, S3StorageOptions } from '#storage';
import { startS3Proxy, type Fault, type Operation, type S3Proxy } from '../../support/s3-proxy.ts';
import { createBucket, describeOnS3, openS3Storage, type TestBucket } from '../../support/s3.ts';
import { MiB, toChunks } from './s3-fixture.ts';

const fails = (code: string) => expect.objectContaining({ name: 'Unavailable', code });
const error500: Fault = { kind: 'status', status: 500, code: 'InternalError' };
const slowDown: Fault = { kind: 'status', status: 503, code: 'SlowDown' };
const timeouts = { connectMs: 5_000, idleMs: 1_500, responseMs: 15_000 };
/** For tests that wait for a timeout. With 500 ms, requests without a fault timed out on a busy machine. */
const shortIdleMs = 1_000;
const longerThanIdleMs = 2_000;

describeOnS3('faults of S3', (server) => {
  let bucket: TestBucket;
  let proxy: S3Proxy;
  let objects: ObjectStorage;
  let opened: ObjectStorage[];
  const large = randomBytes(17 * MiB); // three parts
  const small = randomBytes(100_000);
  const open = async (options: Partial<S3StorageOptions> = {}) => {
    const storage = await openS3Storage({ ...bucket, endpoint: proxy.endpoint }, { timeouts, ...options });
    opened.push(storage);
    return storage;
  };
  const openWithShortTimeout = () => open({ timeouts: { ...timeouts, idleMs: shortIdleMs } });
  beforeEach(async () => {
    opened = [];
    bucket = await createBucket(server);
    proxy = await startS3Proxy(server.endpoint);
    objects = await open();
  });
  afterEach(async () => {
    for (const storage of opened) await storage.close();
    await proxy.close();
    expect(await bucket.listUnfinishedUploads()).toEqual([]);
    await bucket.remove();
  });

  /** Calls every operation of the storage at least once. */
  async function runEveryOperation(storage: ObjectStorage): Promise<void> {
    await Promise.all([
      storage.put('small', small),
      storage.put('large', toChunks(large)),
      storage.put('once', small, { ifNoneMatch: '*' }),
    ]);
    const [read, streamed, info] = await Promise.all([
      storage.read('small'),
      storage.get('large').then(({ stream }) => buffer(stream)),
      storage.head('large'),
    ]);
    expect(read.equals(small)).toBe(true);
    expect(streamed.equals(large)).toBe(true);
    expect(info!.bytes).toBe(large.length);
    await storage.compose!(
      [
        { key: 'large', bytes: large.length },
        { key: 'small', bytes: small.length },
      ],
      'both',
    );
    const keys: string[] = [];
    for await (const { key } of storage.list('')) keys.push(key);
    expect(keys).toEqual(['both', 'large', 'once', 'small']);
    await storage.probe();
    await storage.delete(keys);
    expect(await bucket.listKeys()).toEqual([]);
  }

  const operations: Operation[] = ['put', 'get', 'head', 'list', 'delete', 'create', 'part', 'complete'];
  const singleFaults: [string, Fault][] = [
    ['500', error500],
    ['503 SlowDown', slowDown],
    ['silence for longer than the timeout', { kind: 'slow', ms: longerThanIdleMs }],
  ];
  test.each(singleFaults)('%s in one request of each operation: all operations succeed', async (_, fault) => {
    const storage = fault.kind === 'slow' ? await openWithShortTimeout() : objects;
    for (const operation of operations) proxy.inject(operation, fault, 1);
    await runEveryOperation(storage);
    // An upload whose creation had no response in time can't be aborted; the cleanup removes it.
    if (fault.kind === 'slow') await objects.cleanUpUnfinished(-60_000);
  });

  test('a slow server within the timeout: nothing is sent twice', async () => {
    const patient = await openS3Storage({ ...bucket, endpoint: proxy.endpoint }); // with the default timeouts
    proxy.operations.length = 0;
    for (const operation of operations) proxy.inject(operation, { kind: 'slow', ms: 150 });
    await patient.put('large', toChunks(large));
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

  const permanentFaults: [Fault, string][] = [
    [error500, 'storage_failed'],
    [slowDown, 'storage_busy'],
    [{ kind: 'status', status: 507, code: 'InsufficientStorage' }, 'storage_full'],
    [{ kind: 'status', status: 403, code: 'AccessDenied' }, 'storage_denied'],
  ];
  test.each(permanentFaults)('%p in every request: one clear error for each call', async (fault, code) => {
    const storage = await open({ maxAttempts: 2 }); // the SDK waits half a second or more before each retry of SlowDown
    await storage.put('k', small);
    for (const operation of operations) proxy.inject(operation, fault);
    const calls = [
      storage.put('x', small),
      storage.put('x', toChunks(large)),
      storage.put('x', small, { ifNoneMatch: '*' }),
      storage.get('k'),
      storage.read('k'),
      storage.head('k'),
      storage.delete(['k']),
      storage.list('')[Symbol.asyncIterator]().next(),
      storage.probe(),
    ];
    for (const outcome of await Promise.allSettled<unknown>(calls)) {
      expect(outcome).toEqual({ status: 'rejected', reason: fails(code) });
      expect(inspect(outcome, { depth: 9 })).not.toMatch(/millrace-secret|AWS4-HMAC/);
    }
    expect(await bucket.listKeys()).toEqual(['k']);
  });

  test.each(['create', 'part', 'complete'] as const)(
    'an upload is aborted and its body closed when %s always fails',
    async (operation) => {
      proxy.inject(operation, error500);
      let isClosed = false;
      const { promise: rejected, resolve } = Promise.withResolvers<void>();
      async function* body(): AsyncGenerator<Buffer> {
        try {
          yield* toChunks(large);
          // The client stalls until the put has failed. `complete` is only sent after the end of the body.
          if (operation !== 'complete') await rejected;
        } finally {
          isClosed = true;
        }
      }
      await expect(objects.put('k', body())).rejects.toEqual(fails('storage_failed'));
      resolve();
      await sleep(0);
      expect(isClosed).toBe(true);
      expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], []]);
    },
  );

  test('S3 is down during an upload: an error in time, and a cleanup when it is up again', async () => {
    for (const each of ['part', 'complete', 'abort', 'head'] as const) proxy.inject(each, error500);
    const startedAt = performance.now();
    await expect(objects.put('k', toChunks(large))).rejects.toEqual(fails('storage_failed'));
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    expect(await bucket.listUnfinishedUploads()).toEqual(['k']);
    proxy.clearFaults();
    expect(await objects.cleanUpUnfinished(60_000)).toBe(0);
    expect(await objects.cleanUpUnfinished(-60_000)).toBe(1);
  });

  describe('the connection breaks', () => {
    test('within the body of a request: it is sent again', async () => {
      proxy.inject('put', { kind: 'cut-request', afterBytes: 50_000 }, 2);
      proxy.inject('part', { kind: 'cut-request', afterBytes: 3 * MiB }, 2);
      await objects.put('small', small);
      await objects.put('large', toChunks(large));
      expect((await bucket.read('small')).equals(small)).toBe(true);
      expect((await bucket.read('large')).equals(large)).toBe(true);
    });

    test('before the response to the last request: the object is written once', async () => {
      proxy.inject('complete', { kind: 'lost-response' }, 1);
      const { bytes } = await objects.put('large', toChunks(large));
      expect(bytes).toBe(large.length);
      const storage = await openWithShortTimeout();
      await storage.put('k', small, { ifNoneMatch: '*' }); // detects how this server handles conditions
      proxy.inject('put', { kind: 'lost-response', silently: true }, 1);
      const once = await storage.put('once', small, { ifNoneMatch: '*' });
      expect(once.etag).toBe((await storage.head('once'))!.etag);
      await expect(storage.put('once', small, { ifNoneMatch: '*' })).rejects.toMatchObject({
        code: 'conflict',
      });
      proxy.inject('put', { kind: 'lost-response', silently: true }, 1);
      await storage.put('once', Buffer.from('next'), { ifMatch: once.etag });
      proxy.inject('put', { kind: 'lost-response', silently: true }, 1);
      await storage.put('once-large', toChunks(large), { ifNoneMatch: '*' });
      expect((await bucket.read('once-large')).equals(large)).toBe(true);
    });

    test('before the response to the first request: the cleanup removes the unknown upload', async () => {
      proxy.inject('create', { kind: 'lost-response' }, 1);
      await objects.put('large', toChunks(large));
      expect((await bucket.read('large')).equals(large)).toBe(true);
      expect(await objects.cleanUpUnfinished(-60_000)).toBe(1);
    });

    test.each(['cut-response', 'stall-response'] as const)(
      'within the body of a response (%s): the rest is requested',
      async (kind) => {
        const storage = await openWithShortTimeout();
        await storage.put('large', toChunks(large));
        proxy.inject('get', { kind, afterBytes: 3 * MiB }, 3);
        expect((await buffer((await storage.get('large')).stream)).equals(large)).toBe(true);
        proxy.inject('get', { kind, afterBytes: 1 * MiB }, 2);
        const part = await storage.read('large', { start: 5, end: 4 * MiB });
        expect(part.equals(large.subarray(5, 4 * MiB + 1))).toBe(true);
      },
    );

    test('before the first byte of every response body: an error, not a short object', async () => {
      await objects.put('large', toChunks(large));
      proxy.inject('get', { kind: 'cut-response', afterBytes: 0 });
      await expect(objects.read('large')).rejects.toEqual(fails('storage_unreachable'));
      const { stream } = await objects.get('large').catch(() => ({ stream: null }));
      if (stream) await expect(buffer(stream)).rejects.toEqual(fails('storage_unreachable'));
    });

    test('and the object is replaced meanwhile: an error, not a mixture', async () => {
      const storage = await openWithShortTimeout();
      await storage.put('k', large);
      proxy.inject('get', { kind: 'stall-response', afterBytes: 1 * MiB }, 1);
      const { stream } = await storage.get('k');
      await storage.put('k', randomBytes(17 * MiB));
      await expect(buffer(stream)).rejects.toEqual(fails('storage_failed'));
    });
  });

  test('a reader that pauses for longer than the timeout continues', async () => {
    const storage = await openWithShortTimeout();
    await storage.put('large', toChunks(large));
    const { stream } = await storage.get('large');
    const read: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (read.push(chunk) === 3) await sleep(longerThanIdleMs);
    }
    expect(Buffer.concat(read).equals(large)).toBe(true);
  });

  describe('changed bytes', () => {
    test('a wrong ETag: put again', async () => {
      proxy.inject('put', { kind: 'wrong-etag' }, 2);
      proxy.inject('part', { kind: 'wrong-etag' }, 2);
      await objects.put('small', small);
      await objects.put('large', toChunks(large));
      expect((await bucket.read('small')).equals(small)).toBe(true);
      expect((await bucket.read('large')).equals(large)).toBe(true);
    });

    test('an ETag that is always wrong: an error, and no object', async () => {
      proxy.inject('put', { kind: 'wrong-etag' });
      proxy.inject('part', { kind: 'wrong-etag' });
      await expect(objects.put('small', small)).rejects.toEqual(fails('storage_failed'));
      await expect(objects.put('large', toChunks(large))).rejects.toEqual(fails('storage_failed'));
      expect([await bucket.listUnfinishedUploads(), await bucket.listKeys()]).toEqual([[], []]);
    });

    test('a changed byte in a response: read again, then SegmentDamaged', async () => {
      await objects.put('small', small);
      proxy.inject('get', { kind: 'flip' }, 1);
      expect((await objects.read('small')).equals(small)).toBe(true);
      proxy.inject('get', { kind: 'flip' });
      const damaged = expect.objectContaining({
        code: 'segment_damaged',
        key: 'small',
        message: expect.stringContaining('does not match its checksum'),
      });
      await expect(objects.read('small')).rejects.toEqual(damaged);
      await expect(buffer((await objects.get('small')).stream)).rejects.toEqual(damaged);
      proxy.inject('get', { kind: 'wrong-etag' });
      await expect(objects.read('small')).rejects.toEqual(damaged);
    });
  });

  test('opening the storage of a server that always returns errors fails in time', async () => {
    for (const operation of operations) proxy.inject(operation, slowDown);
    await expect(open({ maxAttempts: 2 })).rejects.toEqual(fails('storage_busy'));
  });
});
