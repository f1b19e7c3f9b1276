/** Direct requests and tasks against a running platform: both queue backends, two major versions of `openai`. */
import OpenAI from 'openai';
import OpenAI6 from 'openai6';
import type { TaskObject, WorkerObject } from '@millrace/contracts';
import { createProviders, createSilentRun } from '#providers';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import { createWorkspace } from '../support/workspaces.ts';
import { catchError } from './support/batch-lines.ts';
import { sendRaw } from './support/raw-http.ts';

const majors = { 'openai 7': OpenAI, 'openai 6': OpenAI6 as unknown as typeof OpenAI };
const model = 'sandbox/embeddings';
const sandbox = (options: object) => ({ sandbox: JSON.stringify(options) });

/** The vectors that the sandbox returns, computed in this process. */
async function computeVectors(inputs: (string | number[])[], dimensions?: number): Promise<number[][]> {
  const { provider, credential } = createProviders().route(model, 'embeddings', { workspaceId: null });
  const { signal } = new AbortController();
  const output = await provider.handlers.embeddings!(
    { model: 'embeddings', credential, input: { inputs, dimensions } },
    createSilentRun(signal),
  );
  return output.vectors.map((vector) => [...vector]);
}

interface Problem {
  status: number;
  code: string;
  detail: string;
  param: string | null;
}

describe.each(['postgres', 'redis'] as const)('on %s', (backend) => {
  let platform: Platform;
  let redis: TestRedis | null = null;
  let sql: SqlClient;
  let otherWorkspaceKey: string;
  beforeAll(async () => {
    redis = backend === 'redis' ? await startRedis() : null;
    platform = await startPlatform({ ...(redis && { redisUrl: redis.url }) });
    sql = await connectSql(platform.databaseUrl);
    otherWorkspaceKey = (await createWorkspace(sql)).apiKey;
  });
  afterAll(async () => {
    await sql?.end();
    await platform?.stop();
    await redis?.dispose();
  });

  const get = async <T>(path: string, apiKey = platform.apiKey): Promise<T> =>
    JSON.parse((await sendRaw({ ...platform, apiKey }, { path })).text) as T;
  const post = (path: string, body?: object, headers = {}, apiKey = platform.apiKey) =>
    sendRaw(
      { ...platform, apiKey },
      {
        path,
        method: 'POST',
        ...(body && { body: JSON.stringify(body) }),
        headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
      },
    );
  const task = (id: string) => get<TaskObject>(`/v1/tasks/${id}`);
  const embedding = (input: unknown, metadata?: object) => ({
    kind: 'embeddings',
    model,
    input: { input },
    metadata,
  });
  const parseTask = (text: string) => JSON.parse(text) as TaskObject;

  describe.each(Object.entries(majors))('%s', (_, Client) => {
    let client: OpenAI;
    beforeAll(() => {
      client = new Client({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
    });

    test.each<[string, OpenAI.EmbeddingCreateParams['input'], (string | number[])[]]>([
      ['a text', 'The mill turns.', ['The mill turns.']],
      ['texts', ['one', 'two\u0000', 'drei \ud83c\udf3e'], ['one', 'two\u0000', 'drei \ud83c\udf3e']],
      ['token ids', [1, 2, 3], [[1, 2, 3]]],
      ['lists of token ids', [[1, 2], [3]], [[1, 2], [3]]],
    ])('%s, as base64 (the default of the client) and as numbers', async (_name, input, each) => {
      const wanted = await computeVectors(each);
      for (const encoding_format of [undefined, 'float', 'base64'] as const) {
        const answer = await client.embeddings.create({
          model,
          input,
          ...(encoding_format && { encoding_format }),
        });
        expect(answer).toMatchObject({ object: 'list', model, usage: { prompt_tokens: expect.any(Number) } });
        const vectors = answer.data.map(({ embedding }) =>
          typeof embedding === 'string' ? floats(embedding) : embedding,
        );
        expect(vectors.map((vector) => [...new Float32Array(vector)])).toEqual(wanted);
        expect(answer.data.map(({ index }) => index)).toEqual(each.map((__, at) => at));
      }
    });

    test('dimensions, and the task of the request', async () => {
      const { data, response } = await client.embeddings
        .create({ model, input: 'x', dimensions: 3, encoding_format: 'float' })
        .withResponse();
      expect(data.data[0]!.embedding).toHaveLength(3);
      const id = response.headers.get('x-millrace-task-id')!;
      expect(id).toMatch(/^task_[0-9a-f]{32}$/);
      const seen = (await client.get(`/tasks/${id}`)) as TaskObject;
      expect(seen).toMatchObject({
        id,
        object: 'task',
        kind: 'embeddings',
        status: 'succeeded',
        attempt: 1,
        error: null,
        output_url: null,
        usage: { input_tokens: 1, output_tokens: 0, total_tokens: 1 },
      });
      expect(seen.output).toEqual(data);
      const events = await sql.rows<{ type: string }>(
        'select type from events where subject = $1 order by sequence',
        [id],
      );
      expect(events.map(({ type }) => type)).toEqual(['task.queued', 'task.started', 'task.succeeded']);
    });

    test.each<[string, object, number, Record<string, unknown>]>([
      ['no model', { model: undefined }, 400, { param: 'model' }],
      ['an unknown provider', { model: 'unknown/x' }, 400, { code: 'model_not_found', param: 'model' }],
      ['blank input', { input: '  ' }, 400, { param: 'input' }],
      ['no input', { input: [] }, 400, { param: 'input' }],
      ['mixed input', { input: ['a', 1] }, 400, { param: 'input' }],
      ['zero dimensions', { dimensions: 0 }, 400, { param: 'dimensions' }],
      ['an unknown format', { encoding_format: 'hex' }, 400, { param: 'encoding_format' }],
      ['metadata that is too long', { metadata: { a: 'x'.repeat(513) } }, 400, { param: 'metadata' }],
      ['a request that the provider refuses', { model: `${model}:400` }, 400, { code: 'sandbox_400' }],
      ['a provider that refuses the credential', { model: `${model}:401` }, 502, { code: 'sandbox_401' }],
    ])('%s gets its error (case %#)', async (_name, over, status, details) => {
      const error = await catchError(client.embeddings.create({ model, input: 'x', ...over } as never));
      expect(error).toBeInstanceOf(Client.APIError);
      expect(error).toMatchObject({ status, ...details });
    });
  });

  test('a request that fails temporarily is retried, and its result returned', async () => {
    const { status, text } = await post('/v1/embeddings', { model: `${model}:flaky`, input: 'x' });
    expect([200, 503]).toContain(status);
    expect(text).toContain(status === 200 ? 'embedding' : 'sandbox_503');
  });

  test('a task is created, waited for and listed; another workspace cannot read it', async () => {
    const first = await post('/v1/tasks', embedding('x', { job: 'nightly' }));
    expect(first.status).toBe(202);
    expect(first.headers['preference-applied']).toBeUndefined();
    const { id, metadata } = parseTask(first.text);
    expect(first.headers).toMatchObject({ 'x-millrace-task-id': id, location: `/v1/tasks/${id}` });
    expect(metadata).toEqual({ job: 'nightly' });
    await waitUntil(async () => (await task(id)).status === 'succeeded', { what: 'the task to succeed' });

    const waited = await post('/v1/tasks', embedding('y'), { prefer: 'wait=20' });
    expect(waited.status).toBe(200);
    expect(waited.headers['preference-applied']).toBe('wait=20');
    expect(parseTask(waited.text)).toMatchObject({ status: 'succeeded', output: { object: 'list' } });

    const late = await post('/v1/tasks', embedding('z', sandbox({ delay_ms: 2_000 })), { prefer: 'wait=1' });
    expect(late.status).toBe(202);
    expect(['queued', 'running']).toContain(parseTask(late.text).status);
    const listed = await get<{ data: TaskObject[]; has_more: boolean }>('/v1/tasks?limit=1&order=desc');
    expect(listed.has_more).toBe(true);
    expect(listed.data[0]!.id).toBe(parseTask(late.text).id);
    expect(listed.data[0]).not.toHaveProperty('output');

    const strange = await sendRaw({ ...platform, apiKey: otherWorkspaceKey }, { path: `/v1/tasks/${id}` });
    expect(strange.status).toBe(404);
    expect(strange.headers['content-type']).toContain('application/problem+json');
    expect(JSON.parse(strange.text)).toMatchObject({
      status: 404,
      code: 'task_not_found',
      title: 'Not Found',
    });
    expect((await get<{ data: unknown[] }>('/v1/tasks', otherWorkspaceKey)).data).toEqual([]);
  });

  test.each<[string, object, Partial<Problem>]>([
    ['an unknown kind', { ...{ kind: 'poetry' } }, { status: 400, code: 'unknown_kind', param: 'kind' }],
    ['a wrong input', { input: { input: '' } }, { status: 400, param: 'input.input' }],
    ['a field that would be ignored', { run_at: 'tomorrow' }, { status: 400 }],
    ['an unknown provider', { model: 'unknown/x' }, { status: 400, code: 'model_not_found', param: 'model' }],
  ])('%s is answered with problem details', async (_name, over, problem) => {
    const answer = await post('/v1/tasks', { ...embedding('x'), ...over });
    expect(JSON.parse(answer.text)).toMatchObject(problem);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  });

  test('one idempotency key creates one task, and every caller gets its result', async () => {
    const headers = { 'idempotency-key': `once-${backend}` };
    const body = { model, input: 'once', metadata: sandbox({ delay_ms: 300 }) };
    const both = await Promise.all([
      post('/v1/embeddings', body, headers),
      post('/v1/embeddings', body, headers),
    ]);
    const later = await post('/v1/embeddings', body, headers);
    expect([...both, later].map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set([...both, later].map((answer) => answer.headers['x-millrace-task-id'])).size).toBe(1);
    expect(JSON.parse(later.text)).toEqual(JSON.parse(both[0].text));
    const other = await post('/v1/embeddings', { model, input: 'another' }, headers);
    expect(other).toMatchObject({ status: 409, error: { code: 'idempotency_key_reused' } });
    expect(other.headers['x-should-retry']).toBe('false');
  });

  test('a large input and a large output are stored as objects', async () => {
    const inputs = Array.from({ length: 300 }, (_, nth) => `${nth} ${'grain '.repeat(200)}`);
    const { data, response } = await platform.client.embeddings
      .create({ model, input: inputs, dimensions: 64, encoding_format: 'float' })
      .withResponse();
    const wanted = await computeVectors(inputs, 64);
    expect(data.data.map(({ embedding }) => [...new Float32Array(embedding)])).toEqual(wanted);
    const seen = await task(response.headers.get('x-millrace-task-id')!);
    expect(seen).toMatchObject({ status: 'succeeded', output: null });
    expect(await (await fetch(seen.output_url!)).json()).toEqual(data);
  });

  test('a request continues after its client disconnects', async () => {
    const gone = new AbortController();
    const metadata = { ...sandbox({ delay_ms: 700 }), who: 'left' };
    const sent = platform.client.embeddings.create({ model, input: 'x', metadata } as never, {
      signal: gone.signal,
    });
    const findOwn = () =>
      sql.rows<{ id: string; status: string }>(
        `select id, status from tasks where metadata ->> 'who' = 'left'`,
      );
    await waitUntil(async () => (await findOwn())[0]?.status === 'running', { what: 'the task to run' });
    gone.abort();
    await expect(sent).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await waitUntil(async () => (await findOwn())[0]?.status === 'succeeded', {
      what: 'the task to succeed',
    });
  });

  test('a cancel ends the wait, the call and the running work on the worker; other tasks continue', async () => {
    const metadata = sandbox({ delay_ms: 3_000 });
    const waiting = post('/v1/embeddings', {
      model,
      input: 'cancelled',
      metadata: { ...metadata, who: 'me' },
    });
    const other = post('/v1/embeddings', { model, input: 'other', metadata });
    const findOwn = () =>
      sql.rows<{ id: string; status: string }>(
        `select id, status from tasks where metadata ->> 'who' = 'me'`,
      );
    await waitUntil(async () => (await findOwn())[0]?.status === 'running', { what: 'the task to run' });
    const [{ id }] = (await findOwn()) as unknown as [{ id: string }];
    const running = async () => (await get<{ data: WorkerObject[] }>('/v1/workers')).data[0]!.running;
    await waitUntil(async () => (await running()).some((work) => work.id === id), {
      what: 'the worker to report it',
    });
    const began = performance.now();
    expect((await post(`/v1/tasks/${id}/cancel`)).status).toBe(200);
    const answer = await waiting;
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(answer).toMatchObject({ status: 409, error: { code: 'task_canceled' } });
    await waitUntil(async () => !(await running()).some((work) => work.id === id), {
      what: 'the worker to stop it',
    });
    expect((await other).status).toBe(200);
    expect((await post(`/v1/tasks/${id}/cancel`)).status).toBe(200);
    expect((await task(id)).status).toBe('canceled');
  });

  test('workers are listed with their running work; work of others and hosts only for the operator', async () => {
    const [worker] = (await get<{ data: WorkerObject[] }>('/v1/workers')).data;
    expect(worker).toMatchObject({
      object: 'worker',
      status: 'ready',
      pools: ['local', 'remote'],
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      pid: expect.any(Number),
      hardware: { cpus: expect.any(Number), accelerators: expect.any(Array) },
    });
    expect(worker!.memory_bytes).toBeGreaterThan(2 ** 20);
    const sent = post('/v1/tasks', embedding('x', sandbox({ delay_ms: 4_000 })), { prefer: 'wait=10' });
    const getWorker = async (key: string) =>
      (await get<{ data: WorkerObject[] }>('/v1/workers', key)).data[0]!;
    await waitUntil(async () => (await getWorker(platform.apiKey)).running_count > 0, {
      what: 'the task to be listed',
    });
    expect((await getWorker(platform.apiKey)).running[0]).toMatchObject({ type: 'task', model });
    expect(await getWorker(otherWorkspaceKey)).toMatchObject({
      running_count: 1,
      running: [],
      host: null,
      pid: null,
    });
    await post(`/v1/tasks/${parseTask((await sent).text).id}/cancel`);
  });

  test('models are listed for the `openai` package; a model that no worker can hold is not loaded', async () => {
    const models = [];
    for await (const one of platform.client.models.list()) models.push(one);
    expect(models.map(({ id }) => id)).toContain(model);
    expect(await platform.client.models.retrieve(model)).toMatchObject({
      id: model,
      object: 'model',
      owned_by: 'sandbox',
      millrace: { status: 'available', is_desired: false, workers: [] },
    });
    expect(await catchError(platform.client.models.retrieve('unknown/x'))).toMatchObject({ status: 404 });
    expect(await post('/v1/models/load', { model })).toMatchObject({
      status: 400,
      error: { code: 'model_not_held' },
    });
    const strange = await post('/v1/models/load', { model }, {}, otherWorkspaceKey);
    expect(strange).toMatchObject({ status: 403, error: { code: 'operators_only' } });
  });

  test('metrics count direct requests of every endpoint, streamed ones too', async () => {
    const chat = { model: 'sandbox/chat-completion', messages: [{ role: 'user', content: 'x' }] };
    for (const stream of [false, true]) {
      expect((await post('/v1/chat/completions', { ...chat, stream })).status).toBe(200);
    }
    const { text } = await sendRaw(platform, { path: '/metrics' });
    expect(text).toMatch(
      /millrace_task_response_seconds_count\{kind="chat-completion",outcome="succeeded"\} 2/,
    );
    expect(text).toMatch(/millrace_task_response_seconds_count\{kind="embeddings",outcome="succeeded"\} \d+/);
  });
});

describe('without a worker', () => {
  let platform: Platform;
  beforeAll(async () => {
    const env = { WORKSPACE_MAX_PENDING_TASKS: '2', DIRECT_WAIT_SECONDS: '1' };
    platform = await startPlatform({ workers: 0, env });
  });
  afterAll(() => platform?.stop());

  test('a wait that times out is a 504 that must not be retried; too many pending tasks are a 429', async () => {
    const client = new OpenAI({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 2 });
    const send = () => client.embeddings.create({ model, input: 'x' });
    const late = await catchError(send());
    expect(late).toMatchObject({ status: 504, code: 'task_still_running' });
    const id = late.headers!.get('x-millrace-task-id')!;
    const tasks = async () => ((await client.get('/tasks')) as { data: TaskObject[] }).data;
    expect((await tasks()).map((task) => task.id)).toEqual([id]);
    await catchError(send());
    const refused = new OpenAI({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
    const over = await catchError(refused.embeddings.create({ model, input: 'x' }));
    expect(over).toBeInstanceOf(OpenAI.RateLimitError);
    expect(over).toMatchObject({ code: 'too_many_pending_tasks', type: 'rate_limit_error' });
    expect(over.headers!.get('retry-after')).toBe('2');
    await client.post(`/tasks/${id}/cancel`);
    expect((await tasks()).length).toBe(2);
    const again = await catchError(refused.embeddings.create({ model, input: 'x' }));
    expect(again.status).toBe(504);
  });
});

const floats = (base64: string): number[] => {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4));
};
