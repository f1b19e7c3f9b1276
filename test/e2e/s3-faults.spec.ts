/** A whole batch on an S3 that fails: errors, silence, broken connections, untrue answers, objects that are gone. */
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { startS3Proxy, type Fault, type Operation, type S3Proxy } from '../support/s3-proxy.ts';
import { createBucket, findS3Server, type S3Server, type TestBucket } from '../support/s3.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import {
  waitForBatch,
  catchError,
  toJsonl,
  buildLine,
  readRecords,
  createBatch,
} from './support/batch-lines.ts';

const server = findS3Server();
const error500: Fault = { kind: 'status', status: 500, code: 'InternalError' };
const everything: Operation[] = [
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

function onS3(deps: S3Server): void {
  let bucket: TestBucket;
  let proxy: S3Proxy;
  let platform: Platform;
  let sql: SqlClient;
  beforeAll(async () => {
    bucket = await createBucket(deps);
    proxy = await startS3Proxy(deps.endpoint);
    platform = await startPlatform({
      bucket: { ...bucket, endpoint: proxy.endpoint },
      env: { WORKER_SLOTS: '1' },
    });
    sql = await connectSql(platform.databaseUrl);
  });
  // What one test has measured does not decide how many chunks the next one's batch falls into.
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

  /** Every line has one record in the right file, the counters say so, and the store holds what the rows say. */
  async function expectWhole(id: string, count: number): Promise<void> {
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
    // What lies there unnamed is of attempts that failed: the collection of garbage has it.
    const failed = await sql.rows<{ name: string }>(
      `select concat(batch_id, '/', chunk, '-', number, '.') as name from attempts where outcome <> 'succeeded'`,
    );
    const unknown = unreferenced.filter((key) => !failed.some(({ name }) => key.includes(name)));
    expect({ missing, unknown, uploads: await bucket.listUnfinishedUploads() }).toEqual({
      missing: [],
      unknown: [],
      uploads: [],
    });
  }

  const attempts = (id: string, outcome: string) =>
    sql.rows('select 1 from attempts where batch_id = $1 and outcome = $2', [id, outcome]);

  const passing: [string, [Operation, Fault][]][] = [
    ['500', everything.map((operation) => [operation, error500])],
    ['slow', everything.map((operation) => [operation, { kind: 'slow', ms: 700 }])],
    [
      'reset mid-body',
      [
        ['put', { kind: 'cut-request', afterBytes: 2_000 }],
        ['part', { kind: 'cut-request', afterBytes: 2 ** 20 }],
        ['get', { kind: 'cut-answer', afterBytes: 1_000 }],
      ],
    ],
    [
      'answers lost',
      (['put', 'complete', 'delete'] as const).map((operation) => [operation, { kind: 'lost-answer' }]),
    ],
    ['wrong ETag', (['put', 'part', 'get'] as const).map((operation) => [operation, { kind: 'wrong-etag' }])],
  ];
  test.each(passing)(
    '%s, now and then: uploaded in parts, and run',
    async (_, faults) => {
      const strike = () => faults.forEach(([operation, fault]) => proxy.inject(operation, fault, 1));
      strike();
      // Long enough for two parts.
      const all = lines(3_000, 0, ' the mill turns'.repeat(230));
      const { id } = await createBatch(platform.client, toJsonl(all));
      // So often that each meets some, and not so often that none gets through.
      let strikes = 8;
      const timer = setInterval(() => strikes-- > 0 && strike(), 400);
      try {
        await waitForBatch(platform.client, id, 90_000);
      } finally {
        // A download whose bytes are not what they were breaks off; it is the caller's to ask again.
        clearInterval(timer);
        proxy.clearFaults();
      }
      await expectWhole(id, all.length);
    },
    120_000,
  );

  test.each([
    ['errors and nothing else', everything.map((operation): [Operation, Fault] => [operation, error500])],
    ['ETags that are never true', [['put', { kind: 'wrong-etag' }] as [Operation, Fault]]],
  ])(
    '%s for a while: chunks wait, an upload is told so, and it goes on when S3 is back',
    async (_, faults) => {
      const all = lines(600, 5);
      const { id } = await createBatch(platform.client, toJsonl(all));
      await waitUntil(async () => (await attempts(id, 'succeeded')).length > 0, { what: 'a first chunk' });
      faults.forEach(([operation, fault]) => proxy.inject(operation, fault));
      await waitUntil(async () => (await attempts(id, 'failed')).length > 0, {
        what: 'a chunk to fail',
        withinMs: 60_000,
      });
      const body = new FormData();
      body.set('purpose', 'batch');
      body.set('file', new File([toJsonl([buildLine('a')])], 'a.jsonl'));
      const answer = await fetch(`${platform.url}/v1/files`, {
        method: 'POST',
        headers: { authorization: `Bearer ${platform.apiKey}` },
        body,
      });
      expect([answer.status, Number(answer.headers.get('retry-after')) > 0]).toEqual([503, true]);
      proxy.clearFaults();
      await expectWhole(id, all.length);
    },
    120_000,
  );

  test('objects that are gone, or were cut short, while the batch runs: their chunks run again', async () => {
    const all = lines(600, 5);
    const { id } = await createBatch(platform.client, toJsonl(all));
    const done = () =>
      sql.rows<{ key: string }>(
        'select output_key as key from chunks where batch_id = $1 and output_key is not null',
        [id],
      );
    await waitUntil(async () => (await done()).length >= 2, { what: 'two chunks to be done' });
    const [gone, short] = await done();
    await platform.objects.remove(gone!.key);
    await platform.objects.write(short!.key, (await platform.objects.read(short!.key)).subarray(0, 1_000));
    await expectWhole(id, all.length);
    expect((await attempts(id, 'failed')).length).toBe(2);
  });

  test('objects that are gone after its end: a clear error', async () => {
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
}

if (server === null) {
  test('NOT RUN: a batch on an S3 that fails (no server is named)', () => expect(findS3Server()).toBeNull());
} else {
  onS3(server);
}
