/** What stock clients and people send: each request is taken as it is meant, or refused with what to send instead. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import OpenAI from 'openai';
import OpenAI6 from 'openai6';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { sendRaw } from './support/raw-http.ts';

let platform: Platform;
let upstream: Server;
/** Bodies as the upstream received them. */
const received: string[] = [];

beforeAll(async () => {
  upstream = createServer((request, response) => {
    void readText(request).then((body) => {
      if (request.method === 'POST') received.push(body);
      response.setHeader('content-type', 'application/json');
      if (request.url!.endsWith('/models')) return response.end('{"object":"list","data":[]}');
      const choice = {
        index: 0,
        message: { role: 'assistant', content: 'ok' },
        text: 'ok',
        finish_reason: 'stop',
      };
      response.end(JSON.stringify({ id: 'x', object: 'x', created: 1, model: 'm', choices: [choice] }));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => upstream.once('listening', resolve));
  const { port } = upstream.address() as AddressInfo;
  platform = await startPlatform({ env: { OPENAI_COMPATIBLE: `echo=http://127.0.0.1:${port}/v1` } });
});
afterEach(() => void received.splice(0));
afterAll(async () => {
  await platform?.stop();
  upstream?.close();
});

interface ErrorBody {
  readonly detail?: string;
  readonly error: { message: string; param: string | null; code: string; type: string };
}

async function send(path: string, body?: unknown, { method = 'POST', headers = {} } = {}) {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const sent = { 'content-type': 'application/json', ...headers };
  const answer = await sendRaw(platform, {
    path,
    method,
    headers: sent,
    ...(text !== undefined && { body: text }),
  });
  return { ...answer, json: JSON.parse(answer.text) as ErrorBody };
}

const chat = { model: 'echo/m', messages: [{ role: 'user', content: 'x' }] };
const summary = { kind: 'summarization', model: 'sandbox/summarization', input: { text: 'x' } };

test.each<[string, string, unknown, string]>([
  ['model', '/v1/embeddings', { model: 'sandbox/a\0', input: 'x' }, 'model'],
  ['model of a chat', '/v1/chat/completions', { ...chat, model: 'echo/\ud800' }, 'model'],
  ['fallback_models', '/v1/tasks', { ...summary, fallback_models: ['sandbox/a\0'] }, 'fallback_models.0'],
  ['kind', '/v1/tasks', { ...summary, kind: 'a\0' }, 'kind'],
  ['metadata', '/v1/tasks', { ...summary, metadata: { a: '\udc00' } }, 'metadata'],
  [
    'name of a webhook',
    '/v1/webhook_endpoints',
    { name: 'a\0', url: 'https://x.test', event_types: ['*'] },
    'name',
  ],
  [
    'metadata_filter',
    '/v1/webhook_endpoints',
    { name: 'a', url: 'https://x.test', event_types: ['*'], metadata_filter: { a: '\0' } },
    'metadata_filter',
  ],
  [
    'filename',
    '/v1/uploads',
    { filename: 'a\0.jsonl', bytes: 1, mime_type: 'text/plain', purpose: 'batch' },
    'filename',
  ],
  [
    'endpoint',
    '/v1/batches',
    { input_file_id: 'file', endpoint: '/\0', completion_window: '24h' },
    'endpoint',
  ],
])('NUL or a lone surrogate in %s is 400 with the field', async (_, path, body, param) => {
  const { status, json } = await send(path, body);
  expect([status, json.error.param]).toEqual([400, param]);
});

test.each([
  ['/v1/tasks?model=%00', 400],
  ['/v1/tasks?kind=a%00', 400],
  ['/v1/tasks?metadata[a]=%00', 400],
  ['/v1/tasks?after=%00', 400],
  ['/v1/usage?start_time=0&models=a%00', 400],
  ['/v1/usage?start_time=0&api_key_ids=%00', 400],
  ['/v1/usage?start_time=0&providers[]=%00', 400],
  ['/v1/tasks/%00', 404],
  ['/v1/models/sandbox%2F%00', 404],
  ['/v1/files/file_%00/content', 404],
])('GET %s is %i', async (path, expected) => {
  const { status, json } = await send(path, undefined, { method: 'GET' });
  expect(status).toBe(expected);
  expect(json.error.message).not.toContain('\0');
});

test.each([
  ['{"tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":9223372036854775807}}}]}'],
  ['{"seed":9007199254740993}'],
  ['{"seed":18446744073709551615}'],
  ['{"extra":{"a":[1e22,1.5E-300,-9223372036854775808]}}'],
])('%s reaches the upstream as it was written, directly and from a batch', async (fields) => {
  const body = `{"model":"echo/m","messages":[{"role":"user","content":"x"}],${fields.slice(1)}`;
  expect((await send('/v1/chat/completions', body)).status).toBe(200);
  expect(received[0]).toContain(fields.slice(1, -1));
  const line = `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":${body}}\n`;
  const batch = await platform.client.batches.create({
    input_file_id: (
      await platform.client.files.create({ file: new File([line], 'a.jsonl'), purpose: 'batch' })
    ).id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  await waitUntil(
    async () => {
      const { status } = await platform.client.batches.retrieve(batch.id);
      return status === 'completed' || status === 'failed';
    },
    { what: 'the batch to end' },
  );
  expect(received[1]).toContain(fields.slice(1, -1));
});

test('a number too large for a double is refused with its field and line', async () => {
  const { status, json } = await send(
    '/v1/chat/completions',
    '{"model":"echo/m",\n"messages":[{"role":"user","content":"x"}],\n"x":{"y":[1,1e400]}}',
  );
  expect([status, json.error.param]).toEqual([400, 'x.y.1']);
  expect(json.error.message).toContain('line 3');
  expect(received).toEqual([]);
});

const id = 'a'.repeat(32);

test.each([
  ['POST', `/v1/batches/batch_${id}/cancel`],
  ['POST', `/v1/batches/batch_${id}/pause`],
  ['POST', `/v1/batches/batch_${id}/retry`],
  ['POST', `/v1/uploads/upload_${id}/cancel`],
  ['POST', `/v1/tasks/task_${id}/cancel`],
  ['POST', `/v1/tasks/task_${id}/retry`],
  ['POST', `/v1/videos/task_${id}/cancel`],
  ['DELETE', `/v1/files/file_${id}`],
  ['DELETE', `/v1/videos/task_${id}`],
  ['DELETE', `/v1/webhook_endpoints/we_${id}`],
])('%s %s without a body may carry a content type', async (method, path) => {
  for (const type of ['application/json', 'application/json; charset=utf-8', 'text/plain']) {
    const headers = { 'content-type': type, 'content-length': '0' };
    expect((await send(path, undefined, { method, headers })).status).toBe(404);
  }
});

test('null is absent, and fields that only the model knows reach it', async () => {
  const { status } = await send('/v1/chat/completions', {
    model: 'echo/m',
    messages: [
      {
        role: 'user',
        content: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }],
        name: null,
      },
      { role: 'assistant', content: 'b', prefix: true, tool_calls: null },
      { role: 'tool', content: 'c', tool_call_id: 't', name: 'f' },
    ],
    tools: [{ type: 'function', function: { name: 'f', parameters: {}, strict: true, extra: 1 } }],
    ...{ tool_choice: null, response_format: null, user: null, seed: null, metadata: null, top_k: 5 },
  });
  expect(status).toBe(200);
  const body = JSON.parse(received[0]!) as Record<string, unknown>;
  expect(body['messages']).toEqual([
    { role: 'user', content: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }] },
    { role: 'assistant', content: 'b', prefix: true },
    { role: 'tool', content: 'c', tool_call_id: 't', name: 'f' },
  ]);
  expect(body).toMatchObject({ top_k: 5, tools: [{ function: { strict: true, extra: 1 } }] });
  for (const field of ['tool_choice', 'response_format', 'user', 'seed'])
    expect(body).not.toHaveProperty(field);
  const embeddings = {
    model: 'sandbox/embeddings',
    input: 'x',
    dimensions: null,
    encoding_format: null,
    user: null,
  };
  expect((await send('/v1/embeddings', embeddings)).status).toBe(200);
});

test.each<[string, string, unknown, number, string, string]>([
  [
    'a misspelt field',
    '/v1/embeddings',
    { model: 'sandbox/embeddings', input: 'x', dimension: 8 },
    400,
    'dimension',
    "'dimensions'?",
  ],
  [
    'a misspelt field of a batch',
    '/v1/batches',
    { input_file_id: 'f', endpoint: '/v1/embeddings', completion_window: '24h', prioritty: 3 },
    400,
    'prioritty',
    "'priority'?",
  ],
  [
    'a field of the model itself',
    '/v1/tasks',
    { kind: 'text-to-image', model: 'sandbox/text-to-image', input: { prompt: 'p', aspect_ratio: '1:1' } },
    400,
    'input.aspect_ratio',
    "under 'provider'",
  ],
  ['a priority out of range', '/v1/tasks', { ...summary, priority: 5 }, 400, 'priority', 'from -100 to 0'],
  [
    'a field named __proto__',
    '/v1/embeddings',
    '{"model":"m","input":"x","__proto__":{}}',
    400,
    '__proto__',
    '__proto__',
  ],
  [
    'a receiver on this machine',
    '/v1/webhook_endpoints',
    { name: 'a', url: 'http://localhost:4000', event_types: ['*'] },
    400,
    'url',
    'MILLRACE_WEBHOOK_ALLOW_HOSTS',
  ],
  [
    'a bad signing secret',
    '/v1/tasks',
    { ...summary, webhook: { url: 'https://x.test', secret: 'bad' } },
    400,
    'webhook.secret',
    'whsec_',
  ],
])('%s is refused with its name', async (_, path, body, expected, param, words) => {
  const { status, json } = await send(path, body);
  expect([status, json.error.param]).toEqual([expected, param]);
  expect(json.error.message).toContain(words);
});

test('a wrong content type is 415, a wrong method 405 with Allow, an unknown path names the right one', async () => {
  for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/xml']) {
    const { status, json } = await send('/v1/embeddings', '{}', { headers: { 'content-type': type } });
    expect([status, json.error.param]).toEqual([415, 'content-type']);
    expect(json.error.message).toContain('content-type');
  }
  const wrongMethod = await send('/v1/embeddings', undefined, { method: 'GET' });
  expect([wrongMethod.status, wrongMethod.headers.allow]).toEqual([405, 'POST']);
  const found: [string, string][] = [
    ['/v1/completions', 'text-generation'],
    ['/v1/responses', '/v1/chat/completions'],
    ['/v1/v1/embeddings', '/v1/embeddings?'],
    ['/embeddings', '/v1/embeddings?'],
    ['/v1/embedings', '/v1/embeddings?'],
    ['/v1/batches/', '/v1/batches?'],
  ];
  for (const [path, words] of found) {
    const { status, json } = await send(path, {});
    expect([path, status]).toEqual([path, 404]);
    expect(json.error.message).toContain(words);
  }
});

test.each([
  ['openai 7', OpenAI],
  ['openai 6', OpenAI6 as unknown as typeof OpenAI],
])('%s shows the message of the native API', async (_, Client) => {
  const client = new Client({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
  const body = { kind: 'text-to-image', model: 'sandbox/text-to-image', input: { prompt: 'x', size: '1x' } };
  await expect(client.post('/tasks', { body })).rejects.toMatchObject({
    status: 400,
    code: 'invalid_request',
    param: 'input.size',
    message: expect.stringContaining('1024x1024'),
  });
});

const embeddingLine = (custom_id: string, indent?: number) =>
  JSON.stringify(
    { custom_id, method: 'POST', url: '/v1/embeddings', body: { model: 'sandbox/embeddings', input: 'x' } },
    null,
    indent,
  );

test.each<[string, string, string]>([
  ['a JSON array', `[\n${embeddingLine('a')},\n${embeddingLine('b')}\n]`, 'JSON array'],
  ['a JSON array on one line', `[${embeddingLine('a')}]`, 'JSON array'],
  ['pretty-printed JSON', embeddingLine('a', 2), 'pretty-printed'],
])('%s as the input of a batch is one error', async (_, content, words) => {
  const { client } = platform;
  const file = await client.files.create({ file: new File([content], 'a.jsonl'), purpose: 'batch' });
  const { id: batchId } = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/embeddings',
    completion_window: '24h',
  });
  await waitUntil(async () => (await client.batches.retrieve(batchId)).status === 'failed', {
    what: 'the batch to fail',
  });
  const { errors } = await client.batches.retrieve(batchId);
  expect(errors?.data).toHaveLength(1);
  expect(errors?.data?.[0]?.message).toContain(words);
});

test('gzip under the name of plain JSONL is expanded, and an archive is refused with its format', async () => {
  const { client } = platform;
  const lines = `${embeddingLine('a')}\n${embeddingLine('b')}\n`;
  const file = await client.files.create({ file: new File([gzipSync(lines)], 'a.jsonl'), purpose: 'batch' });
  expect(await (await client.files.content(file.id)).text()).toBe(lines);
  const zip = new File([Buffer.from('PK\x03\x04rest of it')], 'a.jsonl');
  await expect(client.files.create({ file: zip, purpose: 'batch' })).rejects.toMatchObject({
    code: 'invalid_file_format',
    message: expect.stringContaining('ZIP'),
  });
});
