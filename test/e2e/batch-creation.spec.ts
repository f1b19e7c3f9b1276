/** Batches with inline requests, and batches that are validated before the response. */
import OpenAI from 'openai';
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { startPlatform, type Platform } from '../support/platform.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import {
  waitForBatch,
  catchError,
  toJsonl,
  buildLine,
  readRecords,
  createBatch,
  uploadInput,
  type Batch,
} from './support/batch-lines.ts';

let platform: Platform;
let sql: SqlClient;
let client: OpenAI;

beforeAll(async () => {
  platform = await startPlatform({ env: { BATCH_MAX_LINES: '60000' } });
  sql = await connectSql(platform.databaseUrl);
  client = new OpenAI({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await sql?.end();
  await platform?.stop();
});

const common = { endpoint: '/v1/embeddings', completion_window: '24h' };
const create = (body: object, query = '', key?: string) =>
  client.post<Batch>(`/batches${query}`, {
    body: { ...common, ...body },
    ...(key && { headers: { 'idempotency-key': key } }),
  });

describe('inline requests', () => {
  test('run like a file; method and url are optional', async () => {
    const short = { custom_id: 'short', body: { model: 'sandbox/embeddings', input: 'näher', user: 'u' } };
    const created = await create({ requests: [buildLine('long'), short], metadata: { job: 'inline' } });
    expect(created).toMatchObject({ status: 'validating', metadata: { job: 'inline' } });
    const input = await (await client.files.content(created.input_file_id)).text();
    expect(input).toBe(
      toJsonl([
        buildLine('long'),
        { custom_id: 'short', method: 'POST', url: '/v1/embeddings', body: short.body },
      ]),
    );
    const batch = await waitForBatch(client, created.id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 2, completed: 2 } });
    const found = await readRecords(client, batch.output_file_id);
    expect(found.map(({ custom_id }) => custom_id)).toEqual(['long', 'short']);
  });

  test('one idempotency key creates one batch and one file, also with many requests', async () => {
    const requests = Array.from({ length: 3_000 }, (_, at) => buildLine(`row-${at}`, { dimensions: 2 }));
    const made = await Promise.all([1, 2, 3].map(() => create({ requests }, '', 'inline')));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    const batch = await waitForBatch(client, made[0]!.id);
    expect(batch.request_counts).toEqual({ total: 3_000, completed: 3_000, failed: 0 });
    expect((await create({ requests }, '', 'inline')).id).toBe(batch.id);
    expect(await catchError(create({ requests: [buildLine('a')] }, '', 'inline'))).toMatchObject({
      status: 409,
      code: 'idempotency_key_reused',
    });
    expect((await compareStoredObjects(platform, sql)).unreferenced).toEqual([]);
  });

  test('an invalid request is a 400; lines that contradict each other fail the batch', async () => {
    const wrong: [object, string][] = [
      [{}, 'input_file_id'],
      [{ requests: [] }, 'requests'],
      [{ requests: [{ body: { model: 'm' } }] }, 'requests.0.custom_id'],
      [{ requests: [buildLine('a'), { ...buildLine('b'), body: {} }] }, 'requests.1.body.model'],
      [{ requests: [{ ...buildLine('a'), method: 'GET' }] }, 'requests.0.method'],
      [{ requests: [buildLine('a')], input_file_id: (await uploadInput(client, '{}')).id }, 'requests'],
    ];
    for (const [body, param] of wrong)
      expect(await catchError(create(body))).toMatchObject({ status: 400, param });
    const twice = await create({ requests: [buildLine('a'), buildLine('a')] });
    expect(await waitForBatch(client, twice.id)).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'duplicate_custom_id', line: 2 }] },
    });
  });
});

test('priority is set at creation, changed while the batch runs, and kept by a retry', async () => {
  const requests = [buildLine('a'), buildLine('b', { dimensions: -1 })];
  const created = await create({ requests, priority: -20 });
  expect(created.millrace).toMatchObject({ priority: -20 });
  // One call of ten seconds: the batch still runs when its priority changes.
  const slow = { model: 'sandbox/embeddings', metadata: { sandbox: '{"delay_ms":10000}' } };
  const long = await create({ requests: [buildLine('slow', slow)] });
  const changed = await client.post<Batch>(`/batches/${long.id}`, { body: { priority: -5 } });
  expect([long.millrace, changed.millrace]).toMatchObject([{ priority: 0 }, { priority: -5 }]);
  await client.batches.cancel(long.id);

  const { id, millrace } = await waitForBatch(client, created.id);
  expect(millrace).toMatchObject({ priority: -20 });
  expect(await client.post<Batch>(`/batches/${id}/retry`)).toMatchObject({ millrace: { priority: -20 } });
  const late = client.post(`/batches/${id}`, { body: { priority: 0 } });
  expect(await catchError(late)).toMatchObject({ status: 409, code: 'batch_not_running' });
  for (const priority of [1, -101, 0.5, 'high', null]) {
    const refusal = { status: 400, param: 'priority' };
    // Null is absent where a priority may be left out.
    if (priority !== null) {
      expect(await catchError(create({ requests, priority }))).toMatchObject(refusal);
    }
    expect(await catchError(client.post(`/batches/${id}`, { body: { priority } }))).toMatchObject(refusal);
  }
});

describe('validate=strict', () => {
  test('a valid file creates a batch', async () => {
    const { id: input_file_id } = await uploadInput(client, toJsonl([buildLine('a'), buildLine('b')]));
    const batch = await create({ input_file_id }, '?validate=strict');
    expect(await waitForBatch(client, batch.id)).toMatchObject({ status: 'completed' });
    const inline = await create({ requests: [buildLine('a')] }, '?validate=strict');
    expect(await waitForBatch(client, inline.id)).toMatchObject({ status: 'completed' });
  });

  const bad: [string, string][] = [
    ['JSON', `${toJsonl([buildLine('a')])}\n{"custom_id":\n`],
    ['ids', toJsonl([buildLine('a'), buildLine('b'), buildLine('a')])],
    ['the url', toJsonl([buildLine('a', {}, { url: '/v1/responses' })])],
    ['models', toJsonl([buildLine('a'), buildLine('b', { model: 'sandbox/other' })])],
    ['the model', toJsonl([buildLine('a', { model: 'unknown/nothing' })])],
    ['a field', toJsonl([buildLine('a', {}, { body: {} })])],
    ['no line', '\n\n'],
    ['UTF-16', Buffer.from(toJsonl([buildLine('a')]), 'utf16le').toString('latin1')],
    ['many', toJsonl(Array.from({ length: 150 }, () => buildLine('a', {}, { url: '/' })))],
  ];
  test.each(bad)(
    'invalid %s: the response has the errors that the batch would have failed with',
    async (_, content) => {
      const bytes = Buffer.from(content, 'latin1');
      const failed = await waitForBatch(client, (await createBatch(client, bytes)).id);
      expect(failed.status).toBe('failed');
      const { id: input_file_id } = await uploadInput(client, bytes);
      const error = await catchError(create({ input_file_id }, '?validate=strict'));
      const [first] = failed.errors!.data!;
      expect(error).toMatchObject({ status: 400, code: first!.code });
      expect((error.error as { errors: unknown }).errors).toEqual(failed.errors);
      if (first!.line) expect(error.message).toContain(`Line ${first!.line}: `);
    },
  );

  test('a refused batch leaves no object, and its key can be used again', async () => {
    const batches = () => sql.rows('select 1 from batches');
    const before = (await batches()).length;
    const call = create({ requests: [buildLine('a'), buildLine('a')] }, '?validate=strict', 'strict');
    expect(await catchError(call)).toMatchObject({ status: 400, code: 'duplicate_custom_id' });
    expect((await batches()).length).toBe(before);
    expect((await compareStoredObjects(platform, sql)).unreferenced).toEqual([]);
    const good = await create({ requests: [buildLine('a')] }, '?validate=strict', 'strict');
    await waitForBatch(client, good.id);
  });

  test('too many lines, an unknown file, and an unknown mode are refused', async () => {
    const { id: input_file_id } = await uploadInput(client, '{}\n'.repeat(50_001));
    expect(await catchError(create({ input_file_id }, '?validate=strict'))).toMatchObject({
      status: 400,
      code: 'too_many_lines_for_strict',
    });
    const none = `file_${'0'.repeat(32)}`;
    expect(await catchError(create({ input_file_id: none }, '?validate=strict'))).toMatchObject({
      status: 404,
      code: 'file_not_found',
    });
    expect(await catchError(create({ input_file_id }, '?validate=loosely'))).toMatchObject({ status: 400 });
  });
});
