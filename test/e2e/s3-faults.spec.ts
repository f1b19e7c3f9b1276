/** Batches on an S3 server with faults: errors, silence, broken connections, wrong responses, missing objects. */
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { startS3Proxy, type Fault, type Operation, type S3Proxy } from '../support/s3-proxy.ts';
import { createBucket, describeOnS3, type TestBucket } from '../support/s3.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import {
  waitForBatch,
  catchError,
  toJsonl,
  buildLine,
  readRecords,
  createBatch,
} from './support/batch-lines.ts';

const error500: Fault = { kind: 'status', status: 500, code: 'InternalError' };
const allOperations: Operation[] = [
  'put',
  'get',
  'head',
  'list',
  'delete',
  'create',
  'part',
  'complete',
  'abort',
];

describeOnS3('batches on an S3 server with faults', (server) => {
  let bucket: TestBucket;
  let proxy: S3Proxy;
  let platform: Platform;
  let sql: SqlClient;
  beforeAll(async () => {
    bucket = await createBucket(server);
    proxy = await startS3Proxy(server.endpoint);
    platform = await startPlatform({
      bucket: { ...bucket, endpoint: proxy.endpoint },
      env: { WORKER_SLOTS: '1' },
    });
    sql = await connectSql(platform.databaseUrl);
  });
  // Chunk sizes depend on the measurements of earlier attempts; hide those of other tests.
  beforeEach(() => sql.rows(`update attempts set model = 'other'`));
  afterEach(() => proxy.clearFaults());
  afterAll(async () => {
    await sql?.end();
    await platform?.stop();
    await proxy?.close();
    await bucket?.remove();
  });

  const lines = (count: number, itemMs: number, text = '') =>
    Array.from({ length: count }, (_, at) =>
      buildLine(`row-${at}`, {
        input: at === 7 ? ' ' : `${at}${text}`,
        metadata: { sandbox: JSON.stringify({ item_ms: itemMs }) },
      }),
    );

  /** Every line has one record in the right file, the counters are correct, and the storage has the objects that the rows name. */
  async function expectComplete(id: string, count: number): Promise<void> {
    const batch = await waitForBatch(platform.client, id, 90_000);
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: count, completed: count - 1, failed: 1 },
    });
    const output = await readRecords(platform.client, batch.output_file_id);
    const errors = await readRecords(platform.client, batch.error_file_id);
    expect([output.length, errors.map(({ custom_id }) => custom_id)]).toEqual([count - 1, ['row-7']]);
    expect(new Set(output.map(({ custom_id }) => custom_id)).size).toBe(count - 1);
    const { missing, unreferenced } = await compareStoredObjects(platform, sql);
    // Objects that no row names belong to failed attempts; garbage collection deletes them.
    const failedAttempts = await sql.rows<{ name: string }>(
      `select concat(batch_id, '/', chunk, '-', number, '.') as name from attempts where outcome <> 'succeeded'`,
    );
    const unexpected = unreferenced.filter((key) => !failedAttempts.some(({ name }) => key.includes(name)));
    expect({ missing, unexpected, uploads: await bucket.listUnfinishedUploads() }).toEqual({
      missing: [],
      unexpected: [],
      uploads: [],
    });
  }

  const attempts = (id: string, outcome: string) =>
    sql.rows('select 1 from attempts where batch_id = $1 and outcome = $2', [id, outcome]);

  const singleFaults: [string, [Operation, Fault][]][] = [
    ['500', allOperations.map((operation) => [operation, error500])],
    ['slow', allOperations.map((operation) => [operation, { kind: 'slow', ms: 700 }])],
    [
      'connection reset within a body',
      [
        ['put', { kind: 'cut-request', afterBytes: 2_000 }],
        ['part', { kind: 'cut-request', afterBytes: 2 ** 20 }],
        ['get', { kind: 'cut-response', afterBytes: 1_000 }],
      ],
    ],
    [
      'lost responses',
      (['put', 'complete', 'delete'] as const).map((operation) => [operation, { kind: 'lost-response' }]),
    ],
    ['wrong ETag', (['put', 'part', 'get'] as const).map((operation) => [operation, { kind: 'wrong-etag' }])],
  ];
  test.each(singleFaults)(
    '%s, repeatedly: the batch is uploaded in parts and completes',
    async (_, faults) => {
      const injectOnce = () => faults.forEach(([operation, fault]) => proxy.inject(operation, fault, 1));
      injectOnce();
      // Enough bytes for two parts.
      const input = lines(3_000, 0, ' the mill turns'.repeat(230));
      const { id } = await createBatch(platform.client, toJsonl(input));
      // Every operation meets some faults, and some requests succeed.
      let remaining = 8;
      const timer = setInterval(() => remaining-- > 0 && injectOnce(), 400);
      try {
        await waitForBatch(platform.client, id, 90_000);
      } finally {
        // No faults during the download: a download with changed bytes fails, and the caller would have to repeat it.
        clearInterval(timer);
        proxy.clearFaults();
      }
      await expectComplete(id, input.length);
    },
    120_000,
  );

  test.each([
    ['only errors', allOperations.map((operation): [Operation, Fault] => [operation, error500])],
    ['only wrong ETags', [['put', { kind: 'wrong-etag' }] as [Operation, Fault]]],
  ])(
    '%s for a time: chunks wait, an upload gets 503, and the batch completes when S3 works again',
    async (_, faults) => {
      const input = lines(600, 5);
      const { id } = await createBatch(platform.client, toJsonl(input));
      await waitUntil(async () => (await attempts(id, 'succeeded')).length > 0, { what: 'a first chunk' });
      faults.forEach(([operation, fault]) => proxy.inject(operation, fault));
      await waitUntil(async () => (await attempts(id, 'released')).length > 0, {
        what: 'a chunk to be released',
        withinMs: 60_000,
      });
      const body = new FormData();
      body.set('purpose', 'batch');
      body.set('file', new File([toJsonl([buildLine('a')])], 'a.jsonl'));
      const response = await fetch(`${platform.url}/v1/files`, {
        method: 'POST',
        headers: { authorization: `Bearer ${platform.apiKey}` },
        body,
      });
      expect([response.status, Number(response.headers.get('retry-after')) > 0]).toEqual([503, true]);
      proxy.clearFaults();
      await expectComplete(id, input.length);
    },
    120_000,
  );

  test('objects that are deleted or truncated while the batch runs: their chunks run again', async () => {
    const input = lines(600, 5);
    const { id } = await createBatch(platform.client, toJsonl(input));
    const listOutputs = () =>
      sql.rows<{ key: string }>(
        'select output_key as key from chunks where batch_id = $1 and output_key is not null',
        [id],
      );
    await waitUntil(async () => (await listOutputs()).length >= 2, { what: 'two chunks to be done' });
    const [deleted, truncated] = await listOutputs();
    await platform.objects.remove(deleted!.key);
    await platform.objects.write(
      truncated!.key,
      (await platform.objects.read(truncated!.key)).subarray(0, 1_000),
    );
    await expectComplete(id, input.length);
    expect((await attempts(id, 'failed')).length).toBe(2);
  });

  test('an object that is deleted after the end of the batch: a clear error', async () => {
    const { id } = await createBatch(platform.client, toJsonl([buildLine('a'), buildLine('b')]));
    const batch = await waitForBatch(platform.client, id);
    const [row] = await sql.rows<{ key: string }>(
      'select output_key as key from chunks where batch_id = $1',
      [id],
    );
    const content = await platform.objects.read(row!.key);
    await platform.objects.remove(row!.key);
    expect(
      await catchError(platform.client.files.content(batch.output_file_id!, { maxRetries: 0 })),
    ).toMatchObject({
      status: 500,
      code: 'segment_damaged',
      message: expect.stringContaining('is missing'),
    });
    await platform.objects.write(row!.key, content);
  });
});
