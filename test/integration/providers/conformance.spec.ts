import { kindIds, findKind, type KindId } from '#catalogue';
import { ProviderFailure } from '#domain';
import type { Provider } from '#providers';
import { billedUsd } from '../../support/upstream/openai.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { buildInput, createProvidersAt, createRun, dropRefused, secret } from './provider-fixtures.ts';

let upstream: ScriptedUpstream;
let providers: ReturnType<typeof createProvidersAt>;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  providers = createProvidersAt(upstream);
});
afterEach(() => upstream.reset());
afterAll(() => upstream.close());

const find = (id: string): Provider => providers.list.find((one) => one.id === id)!;
const modelOf: Record<string, (kind: KindId) => string> = {
  openai: () => 'scripted',
  ollama: () => 'scripted',
  hf: (kind) =>
    kind === 'image-to-video' || kind === 'text-to-video'
      ? `fal/${kind}`
      : `owner/${kind === 'embeddings' ? 'feature-extraction' : kind}`,
};

function call(id: string, kind: KindId, over: object = {}, run = createRun(), model = modelOf[id]!(kind)) {
  const { handlers, defaultCredential: credential } = find(id);
  const input = { ...dropRefused(find(id), kind, buildInput(kind) as object), ...over } as never;
  return handlers[kind]!({ model, credential, input }, run);
}

const claims = (id: string) => kindIds.filter((kind) => kind in tables[id]!);
/** The handler tables are literal: they are known without a server. */
const tables: Record<string, object> = Object.fromEntries(
  createProvidersAt({ url: 'http://127.0.0.1:9' }).list.map(({ id, handlers }) => [id, handlers]),
);
const rows = ['openai', 'hf', 'ollama'].flatMap((id) => claims(id).map((kind) => [id, kind] as const));

/** The answer to a request with this output. */
function answerOf(kind: KindId, output: unknown) {
  const entry = findKind(kind);
  const { examples, body, packing } = entry;
  const [{ model, input, options }] = examples;
  const parsed = body.parse({ model, ...structuredClone(input), ...options });
  const [part] = packing ? packing.split(output, [parsed]) : [output];
  return entry.buildAnswer(part, parsed);
}

test.each(rows)('%s: %s returns a valid output of the kind', async (id, kind) => {
  const { json } = answerOf(kind, await call(id, kind));
  expect(JSON.parse(json)).toBeInstanceOf(Object);
  expect(upstream.calls.length).toBeGreaterThan(0);
});

test.each(rows)('%s: %s reports the error of the upstream without the token', async (id, kind) => {
  const json = { error: { message: `no: Bearer ${secret} and sk-secretsecretsecret` } };
  upstream.script({ status: 422, json });
  const failure = await call(id, kind).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ProviderFailure);
  expect(failure).toMatchObject({ status: 422, retryable: false });
  expect(String((failure as Error).message)).not.toMatch(/secretsecret/);
  expect(upstream.calls).toHaveLength(1);
});

test.each(rows)('%s: %s does not retry when the connection breaks', async (id, kind) => {
  upstream.script({ reset: true });
  await expect(call(id, kind)).rejects.toMatchObject({ code: 'provider_unreachable', retryable: true });
  expect(upstream.calls).toHaveLength(1);
});

test.each(rows)('%s: %s ends when its signal is aborted', async (id, kind) => {
  upstream.script({ hang: true });
  const stop = new AbortController();
  const work = call(id, kind, {}, createRun({ signal: stop.signal }));
  while (upstream.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
  stop.abort(new Error('enough'));
  await expect(work).rejects.toThrow('enough');
});

describe.each(['openai', 'hf', 'ollama'])('%s', (id) => {
  test.each([
    [{ status: 401 }, { code: 'provider_token_invalid', retryable: false }],
    [{ status: 402 }, { code: 'insufficient_quota', retryable: false }],
    [{ status: 403 }, { code: 'model_gated', retryable: false }],
    [{ status: 404 }, { code: 'provider_model_not_found', retryable: false }],
    [{ status: 413 }, { code: 'provider_too_large', retryable: false }],
    [
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 429, retryable: true, retryAfterMs: 7_000 },
    ],
    [
      { status: 429, headers: { 'retry-after': '-1' } },
      { status: 429, retryable: true, retryAfterMs: null },
    ],
    [
      { status: 503, json: { error: 'Model x is currently loading' } },
      { code: 'model_loading', retryable: true },
    ],
    [{ status: 500 }, { status: 500, retryable: true }],
    [{ truncate: true }, { code: 'provider_unreachable', retryable: true }],
  ])('%j becomes %j, after one call', async (fault, failure) => {
    upstream.script(fault);
    await expect(call(id, 'chat-completion')).rejects.toMatchObject(failure);
    expect(upstream.calls).toHaveLength(1);
  });

  test('a chat is streamed in parts, and the complete output is returned', async () => {
    const run = createRun();
    const output = await call(id, 'chat-completion', { stream: true }, run);
    const { choices, usage } = output as { choices: { message: { content: string } }[]; usage: object };
    const { deltas } = run.recorded as { deltas: { text?: string; finishReason?: string }[] };
    expect(deltas.length).toBeGreaterThan(3);
    expect(deltas.map(({ text = '' }) => text).join('')).toBe(choices[0]!.message.content);
    expect(deltas.at(-1)).toMatchObject({ finishReason: 'stop' });
    expect(usage).toMatchObject({ inputTokens: expect.any(Number), outputTokens: expect.any(Number) });
  });

  test('a stream that breaks after a part was sent is not retried', async () => {
    upstream.script({ truncate: true });
    await expect(call(id, 'chat-completion', { stream: true })).rejects.toMatchObject({
      code: 'stream_interrupted',
      retryable: false,
    });
  });

  test('vectors are in the order of their texts', async () => {
    const { vectors } = (await call(id, 'embeddings', { inputs: ['a', 'bbb', 'cc'] })) as {
      vectors: Float32Array[];
    };
    expect(vectors.map(([first]) => first)).toEqual([1, 3, 2]);
  });
});

describe.each(['openai', 'hf'])('%s', (id) => {
  test('the error for a gated model has its page, the error for a wrong token has the setting', async () => {
    upstream.script({ status: 403, times: 1 });
    upstream.script({ status: 401 });
    await expect(call(id, 'chat-completion')).rejects.toThrow(
      id === 'hf' ? 'https://huggingface.co/owner' : '/v1/models',
    );
    await expect(call(id, 'chat-completion')).rejects.toThrow(
      id === 'hf' ? 'HF_TOKEN' : 'OPENAI_COMPATIBLE_KEYS',
    );
  });

  test('a video is started once, its id is stored first, and it is polled until it is done', async () => {
    const run = createRun();
    await call(id, 'text-to-video', {}, run);
    const begun = upstream.calls.filter(({ method }) => method === 'POST');
    expect(begun).toHaveLength(1);
    expect(run.recorded.runIds).toHaveLength(1);
    expect(run.recorded.progress.length).toBeGreaterThan(2);
  });

  test('a run that an earlier attempt started is resumed', async () => {
    const first = createRun({ saveRunId: () => Promise.reject(new Error('killed here')) });
    await expect(call(id, 'text-to-video', {}, first)).rejects.toThrow('killed here');
    const kept = id === 'hf' ? 'fal-ai /fal-ai/fal-ai/text-to-video/requests/run-1' : 'video_1';
    const again = createRun({ resume: kept });
    await call(id, 'text-to-video', {}, again);
    expect(upstream.calls.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(again.recorded.runIds).toEqual([]);
  });

  test('a cancel reaches the upstream; a worker that stops leaves the run to the next attempt', async () => {
    for (const why of ['draining', 'canceled']) {
      upstream.reset();
      upstream.videos.pollsUntilDone = upstream.predictions.pollsUntilDone = 1_000;
      const stop = new AbortController();
      const run = createRun({ signal: stop.signal });
      const work = call(id, 'text-to-video', {}, run);
      while (run.recorded.progress.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      const began = Date.now();
      stop.abort(Object.assign(new Error('stopped'), { reason: why }));
      await expect(work).rejects.toThrow('stopped');
      expect(Date.now() - began).toBeLessThan(2_000);
      const cancels = upstream.calls.filter(({ method }) => method === 'DELETE' || method === 'PUT');
      expect(cancels).toHaveLength(why === 'canceled' ? 1 : 0);
    }
    upstream.videos.pollsUntilDone = upstream.predictions.pollsUntilDone = 4;
  });
});

test('Hugging Face: a suffix selects the provider, an endpoint is selected by name, any other name is refused', async () => {
  const hf = find('hf');
  for (const name of ['a/b', 'a/b:fastest', 'a/b:cheapest', 'a/b:fal-ai', 'a/b:auto', '@mine'])
    hf.checkModel(name);
  for (const name of ['b', '', 'a/b:unknown', 'a/b:fal-ai:x', '@other', 'http://x/y', 'a/b/c', '../b']) {
    expect(() => hf.checkModel(name)).toThrow(expect.objectContaining({ code: 'model_not_found' }));
  }
  await call('hf', 'chat-completion', {}, createRun(), 'a/b:fastest');
  expect(upstream.calls[0]!.body).toMatchObject({ model: 'a/b:fastest' });
  await call('hf', 'embeddings', {}, createRun(), '@mine');
  expect(upstream.calls.at(-1)!.path).toContain('/me/feature-extraction');
  await call('hf', 'text-to-video', {}, createRun(), 'replicate/text-to-video:replicate');
  expect(upstream.calls.some(({ path }) => path.includes('/replicate/v1/models/'))).toBe(true);
  await expect(call('hf', 'text-to-video', {}, createRun(), 'unserved/text-to-video')).rejects.toThrow(
    'No inference provider',
  );
});

test('openai-compatible: servers that report no usage and do not support base64', async () => {
  const data = [{ object: 'embedding', index: 0, embedding: [1, 2] }];
  upstream.script({ status: 200, json: { object: 'list', data, model: 'x' } });
  const output = await call('openai', 'embeddings', { inputs: ['12345678'] });
  expect(output).toEqual({ vectors: [new Float32Array([1, 2])], tokens: [2] });
});

/** https://docs.litellm.ai/docs/proxy/response_headers */
const charging = (cost: string) => ({ headers: { 'x-litellm-response-cost': cost } });

test.each(claims('openai'))('openai-compatible: %s reads the cost from a response header', async (kind) => {
  upstream.script(charging('2.5e-04'));
  expect(answerOf(kind, await call('openai', kind)).usage).toMatchObject({ cost: 0.000_25 });
});

test('openai-compatible: a cost in the body takes precedence over the header, and a stream has only the former', async () => {
  upstream.script(charging('9'));
  for (const stream of [false, true]) {
    const billed = await call('openai', 'chat-completion', { stream }, createRun(), 'billed');
    expect(billed).toMatchObject({ usage: { cost: billedUsd } });
  }
  const silent = await call('openai', 'chat-completion', { stream: true });
  expect(silent).not.toHaveProperty('usage.cost');
});

test.each(['', 'None', '-1', 'Infinity', '0.1, 0.2'])(
  'openai-compatible: a header of "%s" is not a cost',
  async (cost) => {
    upstream.script(charging(cost));
    const output = await call('openai', 'chat-completion');
    expect(output).toMatchObject({ usage: { inputTokens: expect.any(Number) } });
    expect(output).not.toHaveProperty('usage.cost');
  },
);

test('Ollama: names, list of models, and the format of requests', async () => {
  const ollama = find('ollama');
  for (const name of ['llama3', 'llama3:8b', 'owner/model:q4_K_M', 'hf.co/owner/model'])
    ollama.checkModel(name);
  for (const name of ['', 'a b', '../x', 'a:b:c', '/a']) {
    expect(() => ollama.checkModel(name)).toThrow(expect.objectContaining({ code: 'model_not_found' }));
  }
  expect(await ollama.listModels!()).toEqual(['scripted']);
  upstream.script({ path: '/api/tags', status: 500 });
  expect(await ollama.listModels!()).toEqual([]);
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is it?' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
      ],
    },
  ];
  const asked = { messages, max_tokens: 9, temperature: 0, response_format: { type: 'json_object' } };
  const { choices } = (await call('ollama', 'chat-completion', asked)) as {
    choices: { message: { content: string } }[];
  };
  expect(choices[0]!.message.content).toBe('You said: What is it? [image]');
  expect(upstream.calls.at(-1)).toMatchObject({
    headers: { authorization: 'Bearer sk-secretsecretsecret' },
    body: {
      model: 'scripted',
      stream: false,
      format: 'json',
      options: { temperature: 0, num_predict: 9 },
      messages: [{ role: 'system' }, { role: 'user', content: 'What is it?', images: ['AAAA'] }],
    },
  });
  await expect(call('ollama', 'chat-completion', { n: 2 })).rejects.toMatchObject({
    code: 'unsupported',
    param: 'n',
  });
  await expect(call('ollama', 'embeddings', { inputs: [[1, 2]] })).rejects.toMatchObject({ param: 'input' });
});

test('Ollama: tool calls are converted in both directions', async () => {
  const called = { function: { name: 'turn', arguments: { wheel: 1 } } };
  const line = { message: { role: 'assistant', content: '', tool_calls: [called] }, done: true };
  upstream.script({ path: '/api/chat', status: 200, json: line });
  const tools = [{ type: 'function', function: { name: 'turn' } }];
  const toolCall = { id: 'call_0', type: 'function', function: { name: 'turn', arguments: '{"wheel":1}' } };
  const messages = [
    { role: 'assistant', content: null, tool_calls: [toolCall] },
    { role: 'tool', tool_call_id: 'call_0', content: 'done' },
  ];
  const { choices } = (await call('ollama', 'chat-completion', { messages, tools })) as { choices: object[] };
  expect(choices).toMatchObject([
    { message: { content: null, tool_calls: [toolCall] }, finish_reason: 'tool_calls' },
  ]);
  expect(upstream.calls.at(-1)!.body).toMatchObject({
    messages: [{ tool_calls: [called] }, { role: 'tool' }],
  });
});

test('Ollama: a missing model is pulled, loaded and unloaded; a model that does not exist is an error', async () => {
  const { models } = find('ollama');
  const pulls = () => upstream.findCalls('/api/pull').length;
  await Promise.all([models!.load('pull-me'), models!.load('pull-me:latest')]);
  await models!.load('pull-me');
  expect(pulls()).toBe(1);
  expect(models!.list()).toMatchObject([
    { model: 'pull-me', state: 'ready', bytes: 1_000_000, dtype: 'Q4_K_M' },
  ]);
  await models!.unload('pull-me');
  expect(models!.list()).toEqual([]);
  expect(upstream.ollama.loaded).toEqual(new Set());
  for (let again = 0; again < 2; again++)
    await expect(models!.load('pull-nothing')).rejects.toThrow('file does not exist');
  expect(pulls()).toBe(2);
  const error = { code: 'provider_model_not_found' };
  expect(models!.list()).toMatchObject([{ model: 'pull-nothing', state: 'failed', error }]);
});
