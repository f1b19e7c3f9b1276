/** The unmodified `openai` package, two major versions, against a running platform: files, batches, errors. */
import { gzipSync } from 'node:zlib';
import OpenAI, { toFile } from 'openai';
import OpenAI6 from 'openai6';
import { compareStoredObjects } from '../support/compare-stored-objects.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { connectSql, expireMeasuredSpeeds, type SqlClient } from '../support/sql.ts';
import { createWorkspace } from '../support/workspaces.ts';
import {
  waitForBatch,
  catchError,
  toJsonl,
  buildLine,
  readRecords,
  runBatch,
  createBatch,
  uploadInput,
} from './support/batch-lines.ts';

const slowModel = 'sandbox/embeddings:slow';

const majors = { 'openai 7': OpenAI, 'openai 6': OpenAI6 as unknown as typeof OpenAI };

let platform: Platform;
let sql: SqlClient;
let otherWorkspaceKey: string;

beforeAll(async () => {
  platform = await startPlatform();
  sql = await connectSql(platform.databaseUrl);
  otherWorkspaceKey = (await createWorkspace(sql)).apiKey;
});

afterAll(async () => {
  await sql?.end();
  await platform?.stop();
});

describe.each(Object.entries(majors))('%s', (_, Client) => {
  let client: OpenAI;
  const createClient = (apiKey: string) =>
    new Client({ apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
  beforeAll(() => {
    client = createClient(platform.apiKey);
  });

  const expectRejection = async (
    call: Promise<unknown>,
    status: number,
    details: Record<string, unknown> = {},
  ) => {
    const error = await catchError(call);
    expect(error).toBeInstanceOf(Client.APIError);
    expect(error).toMatchObject({ status, ...details });
    expect(error.requestID).toMatch(/^req_/);
    return error;
  };

  /** The response body as it was sent: the client keeps only the items of a page. */
  const readBody = async (call: { asResponse(): Promise<Response> }) => (await call.asResponse()).json();

  beforeEach(() => expireMeasuredSpeeds(sql));

  describe('files', () => {
    test('upload, retrieve, content, delete', async () => {
      const content = toJsonl([buildLine('a'), buildLine('b')]);
      const file = await uploadInput(client, content, 'räder & „mühlen“.jsonl');
      expect(file).toEqual({
        id: expect.stringMatching(/^file_[0-9a-f]{32}$/),
        object: 'file',
        bytes: Buffer.byteLength(content),
        created_at: expect.closeTo(Date.now() / 1_000, -1.3),
        expires_at: file.created_at + 30 * 86_400,
        filename: 'räder & „mühlen“.jsonl',
        purpose: 'batch',
        status: 'processed',
        status_details: null,
      });
      expect(await client.files.retrieve(file.id)).toEqual(file);
      const answer = await client.files.content(file.id);
      expect(answer.headers.get('content-type')).toBe('application/jsonl');
      expect(decodeURIComponent(answer.headers.get('content-disposition')!)).toContain(
        'räder & „mühlen“.jsonl',
      );
      expect(await answer.text()).toBe(content);

      expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
      for (const call of ['retrieve', 'content', 'delete'] as const) {
        await expectRejection(client.files[call](file.id), 404, { code: 'file_not_found' });
      }
      expect((await compareStoredObjects(platform, sql)).unreferenced).toEqual([]);
    });

    test('ranges of the content', async () => {
      const { id } = await uploadInput(client, toJsonl([buildLine('a')]));
      const whole = Buffer.from(await (await client.files.content(id)).arrayBuffer());
      const ask = (range: string, method = 'GET') =>
        fetch(`${platform.url}/v1/files/${id}/content`, {
          method,
          headers: { range, authorization: `Bearer ${platform.apiKey}` },
        });
      const part = await ask('bytes=2-9');
      expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 2-9/${whole.length}`]);
      expect(Buffer.from(await part.arrayBuffer())).toEqual(whole.subarray(2, 10));
      const tail = await ask('bytes=-4');
      expect(Buffer.from(await tail.arrayBuffer())).toEqual(whole.subarray(-4));
      const rest = await ask('bytes=5-');
      expect(Buffer.from(await rest.arrayBuffer())).toEqual(whole.subarray(5));
      const past = await ask(`bytes=${whole.length}-`);
      expect([past.status, past.headers.get('content-range')]).toEqual([416, `bytes */${whole.length}`]);
      expect(await past.json()).toMatchObject({ error: { code: 'range_not_satisfiable' } });
      const head = await ask('bytes=0-1', 'HEAD');
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(whole.length)]);
    });

    test('list in pages, by purpose, in both orders', async () => {
      const otherClient = createClient((await createWorkspace(sql)).apiKey);
      expect(await otherClient.files.list()).toMatchObject({ data: [], has_more: false });
      const ids: string[] = [];
      for (let count = 0; count < 5; count++) ids.push((await uploadInput(otherClient, '{}\n')).id);
      const notes = await otherClient.files.create({
        file: await toFile(Buffer.from('x'), 'x.txt'),
        purpose: 'user_data',
      });
      const listIds = async (query: OpenAI.FileListParams) => {
        const found: string[] = [];
        for await (const { id } of otherClient.files.list(query)) found.push(id);
        return found;
      };
      expect(await listIds({ limit: 2, order: 'asc' })).toEqual([...ids, notes.id]);
      expect(await listIds({ limit: 4 })).toEqual([...ids, notes.id].reverse());
      expect(await listIds({ purpose: 'batch', limit: 5, order: 'asc' })).toEqual(ids);
      expect(await listIds({ after: ids[2]!, order: 'asc', purpose: 'batch' })).toEqual(ids.slice(3));
      const page = await readBody(otherClient.files.list({ limit: 2, order: 'asc' }));
      expect(page).toMatchObject({ object: 'list', has_more: true, first_id: ids[0], last_id: ids[1] });
      for (const query of [
        { limit: 0 },
        { limit: 10_001 },
        { order: 'up' },
        { purpose: 'none' },
        { after: '../x' },
      ]) {
        await expectRejection(otherClient.files.list(query as never), 400, { param: Object.keys(query)[0] });
      }
    });

    test('files for batches must be JSONL; gzip is expanded; other files are stored unchanged', async () => {
      const send = async (name: string, content: Buffer, purpose: OpenAI.FilePurpose) =>
        client.files.create({ file: await toFile(content, name), purpose });
      const error = await expectRejection(send('lines.csv', Buffer.from('a'), 'batch'), 400, {
        param: 'file',
      });
      expect(error.error).toMatchObject({ message: 'Invalid file format for Batch API. Must be .jsonl' });
      const plain = Buffer.from(toJsonl([buildLine('a')]));
      const packed = await send('lines.jsonl.gz', gzipSync(plain), 'batch');
      expect(packed).toMatchObject({ filename: 'lines.jsonl', bytes: plain.length });
      expect(await (await client.files.content(packed.id)).text()).toBe(plain.toString());
      const tar = gzipSync('not lines');
      const kept = await send('notes.tar.gz', tar, 'user_data');
      expect(kept).toMatchObject({ filename: 'notes.tar.gz', bytes: tar.length, expires_at: null });
      await expectRejection(send('out.jsonl', plain, 'batch_output' as never), 400, { param: 'purpose' });
      await expectRejection(send('out.jsonl', plain, 'nothing' as never), 400, { param: 'purpose' });
    });

    test('expires_after is sent as bracketed form fields', async () => {
      const send = async (seconds: number, anchor = 'created_at') =>
        client.files.create({
          file: await toFile(Buffer.from('{}'), 'x.jsonl'),
          purpose: 'batch',
          expires_after: { anchor: anchor as 'created_at', seconds },
        });
      const file = await send(3_600);
      expect(file.expires_at! - file.created_at).toBe(3_600);
      for (const seconds of [3_599, 2_592_001]) {
        await expectRejection(send(seconds), 400, { param: 'expires_after.seconds' });
      }
      await expectRejection(send(3_600, 'now'), 400, { param: 'expires_after.anchor' });
    });
  });

  describe('batches', () => {
    test('create, run to completion, read the output lines', async () => {
      const texts = buildLine('texts', { input: ['a', 'b'], encoding_format: 'base64', dimensions: 4 });
      const lines = [
        buildLine('text'),
        texts,
        buildLine('tokens', { input: [1, 2, 3] }),
        buildLine('lists', { input: [[1], [2]] }),
      ];
      const file = await uploadInput(client, toJsonl(lines));
      const created = await client.batches.create({
        input_file_id: file.id,
        endpoint: '/v1/embeddings',
        completion_window: '24h',
        metadata: { job: 'nightly' },
      });
      const unset = { in_progress_at: null, finalizing_at: null, completed_at: null, failed_at: null };
      expect(created).toEqual({
        id: expect.stringMatching(/^batch_[0-9a-f]{32}$/),
        object: 'batch',
        endpoint: '/v1/embeddings',
        model: null,
        errors: null,
        input_file_id: file.id,
        completion_window: '24h',
        status: 'validating',
        output_file_id: null,
        error_file_id: null,
        created_at: expect.closeTo(Date.now() / 1_000, -1.3),
        expires_at: created.created_at + 86_400,
        ...unset,
        expired_at: null,
        cancelling_at: null,
        cancelled_at: null,
        request_counts: { total: 0, completed: 0, failed: 0 },
        usage: {
          input_tokens: 0,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: 0,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: 0,
        },
        metadata: { job: 'nightly' },
        millrace: expect.objectContaining({ progress: 0, canceled_count: 0 }),
      });

      const batch = await waitForBatch(client, created.id);
      expect(batch).toMatchObject({
        status: 'completed',
        model: 'sandbox/embeddings',
        error_file_id: null,
        request_counts: { total: 4, completed: 4, failed: 0 },
        millrace: { progress: 1 },
      });
      const { created_at, in_progress_at, finalizing_at, completed_at } = batch;
      const times = [created_at, in_progress_at!, finalizing_at!, completed_at!];
      expect(times).toEqual([...times].sort());

      const output = await client.files.retrieve(batch.output_file_id!);
      expect(output).toMatchObject({ purpose: 'batch_output', filename: `${batch.id}_output.jsonl` });
      const found = await readRecords(client, batch.output_file_id);
      const of = (id: string) => found.find(({ custom_id }) => custom_id === id)!;
      expect(found.map(({ custom_id }) => custom_id).sort()).toEqual(['lists', 'text', 'texts', 'tokens']);
      const suffix = batch.id.slice('batch_'.length);
      expect(of('text')).toEqual({
        id: `batch_req_${suffix}_1`,
        custom_id: 'text',
        response: {
          status_code: 200,
          request_id: `req_${suffix}_1`,
          body: {
            object: 'list',
            data: [{ object: 'embedding', index: 0, embedding: expect.any(Array) }],
            model: 'sandbox/embeddings',
            usage: { prompt_tokens: 1, total_tokens: 1 },
            millrace: { simulated: true },
          },
        },
        error: null,
      });
      expect(of('tokens').response!.body.data[0].embedding).toHaveLength(8);
      expect(of('lists').response!.body.data).toHaveLength(2);
      for (const { embedding } of of('texts').response!.body.data) {
        const bytes = Buffer.from(embedding, 'base64');
        expect(bytes).toHaveLength(16);
        expect(Math.hypot(...[0, 4, 8, 12].map((at) => bytes.readFloatLE(at)))).toBeCloseTo(1, 5);
      }
      const tokens = found.reduce((sum, { response }) => sum + response!.body.usage.total_tokens, 0);
      expect(batch.usage).toMatchObject({ input_tokens: tokens, output_tokens: 0, total_tokens: tokens });
    });

    test('failed lines are in the error file, each line in exactly one of the two files', async () => {
      const lines = [
        buildLine('good'),
        buildLine('blank', { input: ' ' }),
        buildLine('refused', { input: 'bad', metadata: { sandbox: '{"reject":"bad"}' } }),
        buildLine('no dimensions', { dimensions: 0 }),
        buildLine('broken', { metadata: { sandbox: '{"status":422}' } }),
      ];
      const batch = await runBatch(client, toJsonl(lines));
      expect(batch).toMatchObject({
        status: 'completed',
        request_counts: { total: 5, completed: 1, failed: 4 },
      });
      const [output, errors] = [
        await readRecords(client, batch.output_file_id),
        await readRecords(client, batch.error_file_id),
      ];
      expect(output.map(({ custom_id }) => custom_id)).toEqual(['good']);
      const suffix = batch.id.slice('batch_'.length);
      const error = (custom_id: string) => errors.find((each) => each.custom_id === custom_id);
      const refused = (number: number, custom_id: string, status_code: number, body: object) => ({
        id: `batch_req_${suffix}_${number}`,
        custom_id,
        response: {
          status_code,
          request_id: `req_${suffix}_${number}`,
          body: { error: { message: expect.any(String), type: 'invalid_request_error', ...body } },
        },
        error: null,
      });
      expect(errors).toHaveLength(4);
      expect(error('blank')).toEqual(refused(2, 'blank', 400, { param: 'input', code: 'invalid_request' }));
      expect(error('blank')!.response!.body.error.message).toContain('Line 2');
      expect(error('refused')).toEqual(refused(3, 'refused', 400, { param: null, code: 'sandbox_400' }));
      expect(error('no dimensions')).toEqual(
        refused(4, 'no dimensions', 400, { param: 'dimensions', code: 'invalid_request' }),
      );
      expect(error('broken')).toEqual(refused(5, 'broken', 422, { param: null, code: 'sandbox_422' }));
    });

    test('a batch whose lines all fail is completed, without an output file', async () => {
      const batch = await runBatch(
        client,
        toJsonl([buildLine('a', { input: '' }), buildLine('b', { input: [] })]),
      );
      expect(batch).toMatchObject({
        status: 'completed',
        output_file_id: null,
        request_counts: { total: 2, failed: 2 },
      });
      expect(await readRecords(client, batch.error_file_id)).toHaveLength(2);
    });

    test('a file that fails validation runs no line', async () => {
      const lines = [
        buildLine('a'),
        buildLine('a'),
        buildLine('b', {}, { url: '/v1/responses' }),
        buildLine('c', { model: 'sandbox/embeddings:slow' }),
      ];
      const batch = await runBatch(client, toJsonl(lines));
      expect(batch).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null });
      expect(batch.errors).toEqual({
        object: 'list',
        data: [
          {
            code: 'duplicate_custom_id',
            line: 2,
            message: expect.stringContaining('line 1'),
            param: 'custom_id',
          },
          { code: 'url_mismatch', line: 3, message: expect.any(String), param: 'url' },
          { code: 'model_mismatch', line: 4, message: expect.any(String), param: 'body.model' },
        ],
      });
      const { data } = await client.batches.list({ limit: 1 });
      expect(data[0]!.errors).toEqual(batch.errors);
      await expectRejection(client.batches.cancel(batch.id), 409, { code: 'batch_not_cancellable' });
    });

    test('cancel: completed lines are kept, the others are recorded as not run', async () => {
      const slow = { model: slowModel, metadata: { sandbox: '{"delay_ms":1000}' } };
      const lines = Array.from({ length: 1_500 }, (_, at) => buildLine(`row-${at}`, slow));
      const { id } = await createBatch(client, toJsonl(lines));
      await waitUntil(async () => (await client.batches.retrieve(id)).request_counts!.completed > 0, {
        what: 'the first chunk',
      });
      await expectRejection(client.files.delete((await client.batches.retrieve(id)).input_file_id), 409, {
        code: 'file_in_use',
      });
      const cancelling = await client.batches.cancel(id);
      expect(cancelling).toMatchObject({ status: 'cancelling', cancelling_at: expect.any(Number) });
      const batch = await waitForBatch(client, id);
      expect(batch).toMatchObject({
        status: 'cancelled',
        cancelled_at: expect.any(Number),
        completed_at: null,
      });
      await expectCompleteFiles(batch, lines.length, 'batch_cancelled', batch.millrace.canceled_count);
      // A second cancel changes nothing.
      expect((await client.batches.cancel(id)).status).toBe('cancelled');
    });

    test('expiry: completed lines are kept, the others are recorded as not run', async () => {
      const slow = { model: slowModel, metadata: { sandbox: '{"delay_ms":2000}' } };
      const lines = Array.from({ length: 6_000 }, (_, at) => buildLine(`row-${at}`, slow));
      const { id } = await createBatch(client, toJsonl(lines));
      await waitUntil(async () => (await client.batches.retrieve(id)).request_counts!.completed > 0, {
        what: 'the first chunk',
      });
      await sql.rows(`update batches set expires_at = now() - interval '1 second' where id = $1`, [id]);
      const batch = await waitForBatch(client, id);
      expect(batch).toMatchObject({ status: 'expired', expired_at: expect.any(Number), completed_at: null });
      await expectCompleteFiles(batch, lines.length, 'batch_expired', batch.millrace.expired_count);
    });

    async function expectCompleteFiles(
      batch: Awaited<ReturnType<typeof waitForBatch>>,
      total: number,
      code: string,
      notRun: number,
    ) {
      const { completed, failed } = batch.request_counts!;
      expect(completed).toBeGreaterThan(0);
      expect(notRun).toBeGreaterThan(0);
      expect([batch.request_counts!.total, completed + failed + notRun]).toEqual([total, total]);
      const [output, errors] = [
        await readRecords(client, batch.output_file_id),
        await readRecords(client, batch.error_file_id),
      ];
      expect([output.length, errors.length]).toEqual([completed, notRun]);
      expect(new Set([...output, ...errors].map(({ custom_id }) => custom_id)).size).toBe(total);
      expect(errors[0]).toEqual({
        id: expect.stringMatching(/^batch_req_/),
        custom_id: expect.stringMatching(/^row-/),
        response: null,
        error: { code, message: expect.any(String) },
      });
      expect(errors.every(({ response, error }) => response === null && error!.code === code)).toBe(true);
    }

    test('list in pages', async () => {
      const otherClient = createClient((await createWorkspace(sql)).apiKey);
      const ids: string[] = [];
      for (let count = 0; count < 5; count++)
        ids.push((await createBatch(otherClient, toJsonl([buildLine('a')]))).id);
      const listIds = async (query: Record<string, unknown>) => {
        const found: string[] = [];
        for await (const { id } of otherClient.batches.list(query)) found.push(id);
        return found;
      };
      expect(await listIds({ limit: 2 })).toEqual([...ids].reverse());
      expect(await listIds({ limit: 2, order: 'asc' })).toEqual(ids);
      expect(await listIds({ after: ids[2] })).toEqual([ids[1], ids[0]]);
      const page = await readBody(otherClient.batches.list({ limit: 5 }));
      expect(page).toMatchObject({ object: 'list', has_more: false, first_id: ids[4], last_id: ids[0] });
      expect((await otherClient.batches.list({ limit: 4 })).has_more).toBe(true);
      for (const query of [{ limit: 0 }, { limit: 101 }, { limit: 'x' }, { after: 'batch_%' }]) {
        await expectRejection(otherClient.batches.list(query as never), 400, {
          param: Object.keys(query)[0],
        });
      }
    });

    test('limits of metadata and of the completion window', async () => {
      const { id } = await uploadInput(client, toJsonl([buildLine('a')]));
      const create = (over: object) =>
        client.batches.create({
          input_file_id: id,
          endpoint: '/v1/embeddings',
          completion_window: '24h',
          ...over,
        });
      const pairs = (count: number, key = 1, value = 1) =>
        Object.fromEntries(
          Array.from({ length: count }, (_, at) => [
            String.fromCharCode(97 + at).repeat(key),
            'v'.repeat(value),
          ]),
        );
      for (const metadata of [pairs(16, 64, 512), {}, null]) {
        expect((await create({ metadata })).metadata).toEqual(metadata);
      }
      const wrong = [
        pairs(17),
        pairs(1, 65),
        pairs(1, 1, 513),
        { a: 1 },
        { a: null },
        [],
        'x',
        { a: '\0' },
        { a: '\ud800' },
      ];
      for (const metadata of wrong) {
        const error = await expectRejection(create({ metadata }), 400);
        expect(error.param).toMatch(/^metadata/);
      }
      for (const completion_window of ['1h', '36h', '7d']) {
        expect((await create({ completion_window })).completion_window).toBe(completion_window);
      }
      for (const completion_window of ['0h', '59m', '8d', '169h', '24', '', ' 24h', '1e1h', 24, undefined]) {
        await expectRejection(create({ completion_window }), 400, { param: 'completion_window' });
      }
      await expectRejection(create({ output_expires_after: { anchor: 'created_at', seconds: 5 } }), 400, {
        param: 'output_expires_after.seconds',
      });
    });

    test('output files expire after output_expires_after', async () => {
      const over = { output_expires_after: { anchor: 'created_at', seconds: 3_600 } } as const;
      const batch = await waitForBatch(
        client,
        (await createBatch(client, toJsonl([buildLine('a')]), over)).id,
      );
      const output = await client.files.retrieve(batch.output_file_id!);
      expect(output.expires_at! - output.created_at).toBe(3_600);
    });

    test('one Idempotency-Key creates one batch', async () => {
      const { id } = await uploadInput(client, toJsonl([buildLine('a')]));
      const body = { input_file_id: id, endpoint: '/v1/embeddings', completion_window: '24h' } as const;
      const create = (key: string, over: object = {}) =>
        client.batches.create({ ...body, ...over }, { headers: { 'Idempotency-Key': key } });
      const key = `key-${id}`;
      const first = await create(key);
      expect((await create(key)).id).toBe(first.id);
      // The same request with its fields in another order.
      const { completion_window, ...rest } = body;
      const reordered = { completion_window, ...rest, metadata: undefined };
      expect((await client.batches.create(reordered, { headers: { 'idempotency-key': key } })).id).toBe(
        first.id,
      );
      const other = await expectRejection(create(key, { metadata: { a: 'b' } }), 409, {
        code: 'idempotency_key_reused',
      });
      expect(other.headers!.get('x-should-retry')).toBe('false');

      const twins = await Promise.all(Array.from({ length: 8 }, () => create(`twin-${id}`)));
      expect(new Set(twins.map((batch) => batch.id)).size).toBe(1);
      const made = await sql.rows(`select 1 from batches where input_file_id = $1`, [id]);
      expect(made).toHaveLength(2);
      await expectRejection(create('x'.repeat(256)), 400, { param: 'Idempotency-Key' });
      // A failed request does not use up its key.
      await expectRejection(create(`again-${id}`, { endpoint: '/v1/none' }), 400);
      expect((await create(`again-${id}`)).status).toBe('validating');
      // Keys of another workspace are independent.
      const otherClient = createClient(otherWorkspaceKey);
      const theirs = await createBatch(otherClient, toJsonl([buildLine('a')]));
      const theirBody = { ...body, input_file_id: theirs.input_file_id };
      const made2 = await otherClient.batches.create(theirBody, { headers: { 'Idempotency-Key': key } });
      expect(made2.id).not.toBe(first.id);
    });
  });

  describe('errors', () => {
    test('401 for an API key that is malformed, unknown or missing', async () => {
      const { key } = (await import('../../apps/api/src/access/api-key.ts')).mintApiKey();
      for (const apiKey of ['sk-1234', key, platform.apiKey.slice(0, -1), `${platform.apiKey}0`]) {
        await expectRejection(createClient(apiKey).files.list(), 401, {
          type: 'authentication_error',
          code: 'invalid_api_key',
        });
      }
      for (const headers of [
        {},
        { authorization: platform.apiKey },
        { authorization: `Basic ${platform.apiKey}` },
      ]) {
        const answer = await fetch(`${platform.url}/v1/batches`, { headers });
        expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      }
    });

    test('files and batches of another workspace are not found', async () => {
      const mine = await runBatch(client, toJsonl([buildLine('a')]));
      const otherClient = createClient(otherWorkspaceKey);
      for (const id of [mine.input_file_id, mine.output_file_id!]) {
        for (const call of ['retrieve', 'content', 'delete'] as const) {
          await expectRejection(otherClient.files[call](id), 404, {
            code: 'file_not_found',
            type: 'not_found_error',
          });
        }
      }
      await expectRejection(otherClient.batches.retrieve(mine.id), 404, { code: 'batch_not_found' });
      await expectRejection(otherClient.batches.cancel(mine.id), 404, { code: 'batch_not_found' });
      await expectRejection(
        otherClient.batches.create({
          input_file_id: mine.input_file_id,
          endpoint: '/v1/embeddings',
          completion_window: '24h',
        }),
        404,
        { code: 'file_not_found', param: 'input_file_id' },
      );
      for await (const { id } of otherClient.batches.list()) expect(id).not.toBe(mine.id);
      expect((await client.files.retrieve(mine.output_file_id!)).id).toBe(mine.output_file_id);
    });

    test('400 and 404 name the parameter and the code', async () => {
      const { id } = await uploadInput(client, toJsonl([buildLine('a')]));
      const notes = await client.files.create({
        file: await toFile(Buffer.from('x'), 'x.txt'),
        purpose: 'user_data',
      });
      const create = (over: object) =>
        client.batches.create({
          input_file_id: id,
          endpoint: '/v1/embeddings',
          completion_window: '24h',
          ...over,
        });
      const type = 'invalid_request_error';
      await expectRejection(create({ endpoint: '/v1/nothing' }), 400, { type, param: 'endpoint' });
      await expectRejection(create({ endpoint: 7 }), 400, { type, param: 'endpoint' });
      await expectRejection(create({ input_file_id: undefined }), 400, { type, param: 'input_file_id' });
      await expectRejection(create({ input_file_id: notes.id }), 400, {
        type,
        code: 'wrong_purpose',
        param: 'input_file_id',
      });
      await expectRejection(create({ input_file_id: '\0' }), 400, { type, param: 'input_file_id' });
      for (const input_file_id of [`file_${'0'.repeat(32)}`, 'none', '../x']) {
        await expectRejection(create({ input_file_id }), 404, {
          code: 'file_not_found',
          param: 'input_file_id',
        });
      }
      await expectRejection(client.batches.retrieve(`batch_${'0'.repeat(32)}`), 404, {
        code: 'batch_not_found',
      });
      await expectRejection(client.get('/nothing/here'), 404, { code: 'unknown_url' });
    });

    test('every response has its own request id', async () => {
      const answers = await Promise.all([1, 2].map(() => client.files.list().withResponse()));
      const ids = answers.map(({ response }) => response.headers.get('x-request-id'));
      expect(new Set(ids).size).toBe(2);
      for (const id of ids) expect(id).toMatch(/^req_[0-9a-f]{32}$/);
    });
  });
});

describe('on Redis', () => {
  let redis: TestRedis | null;
  let onRedis: Platform;

  beforeAll(async () => {
    redis = await startRedis();
    if (redis) onRedis = await startPlatform({ redisUrl: redis.url });
  });
  afterAll(async () => {
    await onRedis?.stop();
    await redis?.dispose();
  });

  test.each(Object.entries(majors))('%s runs a batch and cancels one', async (_, Client) => {
    if (!redis) return; // startRedis warns; CI must have Redis.
    const client = new Client({
      apiKey: onRedis.apiKey,
      baseURL: `${onRedis.url}/v1`,
      maxRetries: 0,
    });
    const batch = await runBatch(client, toJsonl([buildLine('a'), buildLine('b', { input: '' })]));
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 2, completed: 1, failed: 1 },
    });
    expect(await readRecords(client, batch.output_file_id)).toHaveLength(1);
    expect(await readRecords(client, batch.error_file_id)).toHaveLength(1);

    const slow = { model: slowModel, metadata: { sandbox: '{"delay_ms":1000}' } };
    const { id } = await createBatch(
      client,
      toJsonl(Array.from({ length: 1_000 }, (__, at) => buildLine(`row-${at}`, slow))),
    );
    await waitUntil(async () => (await client.batches.retrieve(id)).request_counts!.completed > 0, {
      what: 'the first chunk',
    });
    await client.batches.cancel(id);
    const cancelled = await waitForBatch(client, id);
    expect(cancelled.status).toBe('cancelled');
    const output = await readRecords(client, cancelled.output_file_id);
    const errors = await readRecords(client, cancelled.error_file_id);
    expect(output.length + errors.length).toBe(1_000);
    expect(errors.every(({ error }) => error?.code === 'batch_cancelled')).toBe(true);
  });
});

test('no object is left over or missing', async () => {
  expect(await compareStoredObjects(platform, sql)).toEqual({ unreferenced: [], missing: [] });
});
