/** Batches made of lines that come with the request, and batches whose lines are checked before the answer. */
import OpenAI from 'openai';
import { leftOvers } from '../support/left-overs.ts';
import { startPlatform, type Platform } from '../support/platform.ts';
import { connectSql, type Sql } from '../support/sql.ts';
import { ended, failure, jsonl, line, records, submit, upload, type Batch } from './wire/lines.ts';

let platform: Platform;
let sql: Sql;
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
  test('run as a file would; method and url may be left out', async () => {
    const short = { custom_id: 'short', body: { model: 'sandbox/embeddings', input: 'näher', user: 'u' } };
    const created = await create({ requests: [line('long'), short], metadata: { job: 'inline' } });
    expect(created).toMatchObject({ status: 'validating', metadata: { job: 'inline' } });
    const input = await (await client.files.content(created.input_file_id)).text();
    expect(input).toBe(
      jsonl([line('long'), { custom_id: 'short', method: 'POST', url: '/v1/embeddings', body: short.body }]),
    );
    const batch = await ended(client, created.id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 2, completed: 2 } });
    const found = await records(client, batch.output_file_id);
    expect(found.map(({ custom_id }) => custom_id)).toEqual(['long', 'short']);
  });

  test('many of them, and one key makes one batch and one file', async () => {
    const requests = Array.from({ length: 3_000 }, (_, at) => line(`row-${at}`, { dimensions: 2 }));
    const made = await Promise.all([1, 2, 3].map(() => create({ requests }, '', 'inline')));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    const batch = await ended(client, made[0]!.id);
    expect(batch.request_counts).toEqual({ total: 3_000, completed: 3_000, failed: 0 });
    expect((await create({ requests }, '', 'inline')).id).toBe(batch.id);
    expect(await failure(create({ requests: [line('a')] }, '', 'inline'))).toMatchObject({
      status: 409,
      code: 'idempotency_key_reused',
    });
    expect((await leftOvers(platform, sql)).unreferenced).toEqual([]);
  });

  test('what is wrong with the request is a 400, what is wrong between its lines fails the batch', async () => {
    const wrong: [object, string][] = [
      [{}, 'input_file_id'],
      [{ requests: [] }, 'requests'],
      [{ requests: [{ body: { model: 'm' } }] }, 'requests.0.custom_id'],
      [{ requests: [line('a'), { ...line('b'), body: {} }] }, 'requests.1.body.model'],
      [{ requests: [{ ...line('a'), method: 'GET' }] }, 'requests.0.method'],
      [{ requests: [line('a')], input_file_id: (await upload(client, '{}')).id }, 'requests'],
    ];
    for (const [body, param] of wrong)
      expect(await failure(create(body))).toMatchObject({ status: 400, param });
    const twice = await create({ requests: [line('a'), line('a')] });
    expect(await ended(client, twice.id)).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'duplicate_custom_id', line: 2 }] },
    });
  });
});

test('its priority is given at creation, changed while it runs, and kept by a retry', async () => {
  const requests = [line('a'), line('b', { dimensions: -1 })];
  const created = await create({ requests, priority: -20 });
  expect(created.millrace).toMatchObject({ priority: -20 });
  // One call of ten seconds: it still runs when it is changed.
  const slow = { model: 'sandbox/embeddings', metadata: { sandbox: '{"delay_ms":10000}' } };
  const long = await create({ requests: [line('slow', slow)] });
  const changed = await client.post<Batch>(`/batches/${long.id}`, { body: { priority: -5 } });
  expect([long.millrace, changed.millrace]).toMatchObject([{ priority: 0 }, { priority: -5 }]);
  await client.batches.cancel(long.id);

  const { id, millrace } = await ended(client, created.id);
  expect(millrace).toMatchObject({ priority: -20 });
  expect(await client.post<Batch>(`/batches/${id}/retry`)).toMatchObject({ millrace: { priority: -20 } });
  const late = client.post(`/batches/${id}`, { body: { priority: 0 } });
  expect(await failure(late)).toMatchObject({ status: 409, code: 'batch_not_running' });
  for (const priority of [1, -101, 0.5, 'high', null]) {
    const refusal = { status: 400, param: 'priority' };
    expect(await failure(create({ requests, priority }))).toMatchObject(refusal);
    expect(await failure(client.post(`/batches/${id}`, { body: { priority } }))).toMatchObject(refusal);
  }
});

describe('validate=strict', () => {
  test('a good file is a batch like any other', async () => {
    const { id: input_file_id } = await upload(client, jsonl([line('a'), line('b')]));
    const batch = await create({ input_file_id }, '?validate=strict');
    expect(await ended(client, batch.id)).toMatchObject({ status: 'completed' });
    const inline = await create({ requests: [line('a')] }, '?validate=strict');
    expect(await ended(client, inline.id)).toMatchObject({ status: 'completed' });
  });

  const bad: [string, string][] = [
    ['JSON', `${jsonl([line('a')])}\n{"custom_id":\n`],
    ['ids', jsonl([line('a'), line('b'), line('a')])],
    ['the url', jsonl([line('a', {}, { url: '/v1/responses' })])],
    ['models', jsonl([line('a'), line('b', { model: 'sandbox/other' })])],
    ['the model', jsonl([line('a', { model: 'nobody/nothing' })])],
    ['a field', jsonl([line('a', {}, { body: {} })])],
    ['no line', '\n\n'],
    ['UTF-16', Buffer.from(jsonl([line('a')]), 'utf16le').toString('latin1')],
    ['many', jsonl(Array.from({ length: 150 }, () => line('a', {}, { url: '/' })))],
  ];
  test.each(bad)('%s wrong: the errors that the batch would have failed with', async (_, content) => {
    const bytes = Buffer.from(content, 'latin1');
    const failed = await ended(client, (await submit(client, bytes)).id);
    expect(failed.status).toBe('failed');
    const { id: input_file_id } = await upload(client, bytes);
    const error = await failure(create({ input_file_id }, '?validate=strict'));
    const [first] = failed.errors!.data!;
    expect(error).toMatchObject({ status: 400, code: first!.code });
    expect((error.error as { errors: unknown }).errors).toEqual(failed.errors);
    if (first!.line) expect(error.message).toContain(`Line ${first!.line}: `);
  });

  test('nothing is left of a refused batch, and its key is free', async () => {
    const batches = () => sql.rows('select 1 from batches');
    const before = (await batches()).length;
    const call = create({ requests: [line('a'), line('a')] }, '?validate=strict', 'strict');
    expect(await failure(call)).toMatchObject({ status: 400, code: 'duplicate_custom_id' });
    expect((await batches()).length).toBe(before);
    expect((await leftOvers(platform, sql)).unreferenced).toEqual([]);
    const good = await create({ requests: [line('a')] }, '?validate=strict', 'strict');
    await ended(client, good.id);
  });

  test('too long for it, not there, and no such way to validate', async () => {
    const { id: input_file_id } = await upload(client, '{}\n'.repeat(50_001));
    expect(await failure(create({ input_file_id }, '?validate=strict'))).toMatchObject({
      status: 400,
      code: 'too_long_for_strict',
    });
    const none = `file_${'0'.repeat(32)}`;
    expect(await failure(create({ input_file_id: none }, '?validate=strict'))).toMatchObject({
      status: 404,
      code: 'file_not_found',
    });
    expect(await failure(create({ input_file_id }, '?validate=loosely'))).toMatchObject({ status: 400 });
  });
});
