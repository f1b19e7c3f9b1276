/** Every hosted provider against an upstream that answers as real servers do, and not as their API says. */
import { findKind, type KindId } from '#catalogue';
import { ProviderFailure } from '#domain';
import { misbehaviours } from '../../support/upstream/misbehaviours/index.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { buildInput, createProvidersAt, createRun } from './provider-fixtures.ts';

let upstream: ScriptedUpstream;
let providers: ReturnType<typeof createProvidersAt>;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start(0, true);
  providers = createProvidersAt(upstream);
});
afterEach(() => upstream.reset());
afterAll(() => upstream.close());

function call(id: string, kind: KindId, model: string, over: object = {}, run = createRun()) {
  const { handlers, defaultCredential: credential } = providers.list.find((one) => one.id === id)!;
  const input = { ...(buildInput(kind) as object), ...over } as never;
  return handlers[kind]!({ model, credential, input }, run);
}

interface Choice {
  readonly index: number;
  readonly text?: string;
  readonly message?: { readonly content: string | null } & Record<string, unknown>;
}

interface StreamedDelta {
  readonly index?: number;
  readonly text?: string;
  readonly toolCalls?: readonly {
    index: number;
    id?: string;
    function: { name?: string; arguments: string };
  }[];
  readonly fields?: Readonly<Record<string, string>>;
}

/** The response body to a request with this output, as it is stored and sent. */
function answerOf(kind: KindId, output: unknown): Record<string, unknown> & { choices: Choice[] } {
  const entry = findKind(kind);
  const [{ model, input }] = entry.examples;
  const body = entry.body.parse({ model, ...structuredClone(input) });
  const { json } = entry.buildAnswer(entry.packing ? entry.packing.split(output, [body])[0] : output, body);
  expect(json).not.toMatch(/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i);
  expect(entry.output.safeParse(JSON.parse(json)).success || kind === 'embeddings').toBe(true);
  return JSON.parse(json);
}

const toolCall = (id: unknown, name: string, args: string) => ({
  id,
  type: 'function',
  function: { name, arguments: args },
});
const weather = (id: unknown = expect.any(String)) => [toolCall(id, 'get_weather', '{"city":"Paris"}')];
const hello = { index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' };

/** What the caller gets, by the name of the misbehaviour: fields of the answer, or of the failure. */
const answers: Record<string, object> = {
  'tool-calls-same-index': {
    choices: [
      {
        message: { content: null, tool_calls: [...weather('call_a'), toolCall('call_b', 'get_time', '{}')] },
      },
    ],
  },
  'tool-call-without-index': { choices: [{ message: { tool_calls: weather('call_a') } }] },
  'tool-call-pieces-without-index-and-id': { choices: [{ message: { tool_calls: weather('call_a') } }] },
  'tool-call-as-object': { choices: [{ message: { tool_calls: weather() }, finish_reason: 'tool_calls' }] },
  'tool-call-name-repeated': { choices: [{ message: { tool_calls: weather('call_a') } }] },
  'tool-arguments-as-object': {
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: null, tool_calls: weather('0') },
        finish_reason: 'tool_calls',
      },
    ],
  },
  'tool-arguments-null': { choices: [{ message: { tool_calls: [toolCall('0', 'get_time', '{}')] } }] },
  'role-and-content-null': {
    choices: [{ ...hello, message: { ...hello.message, reasoning_content: 'Hmm.' } }],
  },
  'finish-reason-always-null': { choices: [hello] },
  'finish-reason-empty': { choices: [hello] },
  'finish-reason-twice': { choices: [hello] },
  'finish-reason-on-choice-0': {
    choices: [hello, { index: 1, message: { role: 'assistant', content: 'Goodbye' }, finish_reason: 'stop' }],
  },
  'no-done': { choices: [hello] },
  'empty-choices-first': {
    choices: [hello],
    system_fingerprint: 'fp_1',
    usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
  },
  'no-delta': { choices: [{ ...hello, content_filter_offsets: { check_offset: 44 } }] },
  'delta-null': { choices: [hello] },
  'delta-and-message': { choices: [hello] },
  'usage-before-the-end': {
    choices: [hello],
    usage: {
      prompt_tokens: 3,
      completion_tokens: 2,
      total_tokens: 5,
      prompt_tokens_details: { cached_tokens: 2 },
    },
  },
  comments: { choices: [hello] },
  'comments-before-json': { choices: [hello] },
  'json-for-a-stream': { choices: [hello] },
  'stream-for-json': { choices: [hello] },
  'done-after-json': { choices: [hello] },
  'content-as-parts': { choices: [{ ...hello, message: { ...hello.message, reasoning_content: 'Hmm.' } }] },
  'delta-content-as-parts': {
    choices: [{ ...hello, message: { ...hello.message, reasoning_content: 'Hmm.' } }],
  },
  'reasoning-and-logprobs': {
    choices: [
      {
        ...hello,
        message: { ...hello.message, reasoning: 'Hmm.' },
        logprobs: { content: expect.any(Array) },
      },
    ],
    system_fingerprint: 'fp_1',
    citations: ['https://example.com'],
  },
  'nul-and-lone-surrogate': { choices: [{ message: { content: 'K\ufffdrsou \ufffd \u{1f600} \\u0000' } }] },
  'minus-infinity': {
    choices: [{ message: { content: '-Infinity' }, logprobs: { content: [{ logprob: null }] } }],
  },
  'tool-calls-null': { choices: [hello] },
  'refuses-base64': {},
  'ignores-base64': {},
  'all-vectors-index-0': {},
  'bare-list-of-vectors': {},
  'image-url': { images: [{ content_type: 'image/png' }] },
  'lines-for-json': { choices: [hello] },
  'thinking-only': {
    choices: [{ message: { content: '', reasoning_content: 'Hmm.' }, finish_reason: 'length' }],
  },
  'task-json-as-text': { summary: 'Hello' },
  'prediction-nul-in-logs': { video: { content_type: 'video/mp4' } },
  'queue-log-percent': { video: { content_type: 'video/mp4' } },
  'text-stream-in-chat-format': { choices: [{ index: 0, text: 'Hello', finish_reason: 'stop' }] },
};

const limited = { status: 429, code: 'provider_rate_limited', retryable: true };
const failures: Record<string, object> = {
  'error-behind-200': { ...limited, message: expect.stringContaining('free-models-per-min') },
  'error-in-a-choice': {
    status: 502,
    retryable: true,
    message: expect.stringMatching(/Provider disconnected: upstream reset/),
  },
  'error-in-a-stream': limited,
  'error-event': { message: expect.stringContaining('Compute error.') },
  'error-object': {
    status: 400,
    code: 'BadRequestError',
    retryable: false,
    message: expect.stringContaining('max_tokens is too large'),
  },
  'error-object-behind-200': { message: expect.stringContaining('1 validation error') },
  'error-string': { status: 500, retryable: true, message: expect.stringContaining('more system memory') },
  'validation-error-behind-200': { status: 400, retryable: false, message: expect.stringContaining('top_p') },
  'limit-of-another-gateway': { ...limited, retryAfterMs: 20_000 },
  'error-list': { ...limited, retryAfterMs: 34_000, message: expect.stringContaining('Resource exhausted.') },
  'error-as-text-in-an-error': { ...limited, message: expect.stringContaining('has been exhausted') },
  'detail-list': {
    status: 422,
    param: 'max_tokens',
    retryable: false,
    message: expect.stringContaining('max_tokens: none is not'),
  },
  'detail-text': { status: 503, retryable: true, message: expect.stringContaining('Model not loaded') },
  'html-error': {
    status: 502,
    retryable: true,
    message: expect.stringMatching(/answered 502: 502 Bad gateway$/),
  },
  'html-behind-200': {
    code: 'invalid_output',
    retryable: false,
    message: expect.stringContaining('Sign in'),
  },
  'endpoint-unknown-behind-200': { status: 404, code: 'provider_model_not_found', retryable: false },
  'nul-in-an-error': {
    status: 400,
    code: 'bad_\ufffd',
    param: 'x\ufffd',
    message: expect.stringContaining('bad \ufffd byte'),
  },
  overloaded: limited,
  loading: { status: 503, code: 'model_loading', retryAfterMs: 20_000 },
  'retry-in-words': { ...limited, retryAfterMs: 26_000 },
  'empty-body': { code: 'invalid_output', message: expect.stringContaining('empty') },
  'no-choices': { code: 'invalid_output', message: expect.stringContaining('no choices') },
  'stream-without-an-answer': { code: 'provider_unreachable', retryable: true },
  'operator-address': { status: 500, message: expect.not.stringContaining('127.0.0.1') },
  'video-cancelled': { status: 422, retryable: false, message: expect.stringContaining("'cancelled'") },
  'video-unknown-state': { status: 422, retryable: false, message: expect.stringContaining("'moderated'") },
  'video-failed-with-code': { code: 'moderation_blocked', message: expect.stringContaining('was blocked') },
  'load-instead-of-an-answer': { code: 'model_loading', status: 503, retryable: true },
  'error-in-the-middle': { message: expect.stringContaining('unexpected EOF'), retryable: false },
  'no-end-line': { retryable: false },
  'hub-error-object': { ...limited, message: expect.stringContaining('Too many requests') },
  'task-error-behind-200': { status: 503, code: 'model_loading', retryable: true },
  'prediction-aborted': { status: 422, retryable: false, message: expect.stringContaining("'aborted'") },
  'queue-completed-with-an-error': {
    status: 422,
    retryable: false,
    message: expect.stringContaining('prompt: The content was flagged'),
  },
};

/** Which provider, kind and model meet a misbehaviour, by its path. */
function listCalls(name: string, path: RegExp): [id: string, kind: KindId, model: string][] {
  if (path.test('/v1/chat/completions'))
    return [
      ['openai', 'chat-completion', name],
      ['hf', 'chat-completion', `misbehaving/${name}`],
    ];
  if (path.test('/v1/completions')) return [['openai', 'text-generation', name]];
  if (path.test('/v1/embeddings')) return [['openai', 'embeddings', name]];
  if (path.test('/v1/images/generations')) return [['openai', 'text-to-image', name]];
  if (path.test('/v1/videos')) return [['openai', 'text-to-video', name]];
  if (path.test('/api/chat')) return [['ollama', 'chat-completion', name]];
  if (path.test('/api/models/x')) return [['hf', 'text-to-image', `misbehaving/${name}`]];
  if (path.test('/hf-inference/x')) return [['hf', 'summarization', `misbehaving/${name}`]];
  if (path.test('/replicate/x')) return [['hf', 'text-to-video', `replicate/${name}`]];
  return [['hf', 'text-to-video', `fal/${name}`]];
}

const streamedOnly = ['error-in-the-middle', 'no-end-line'];
const rows = misbehaviours.flatMap(({ name, path }) =>
  listCalls(name, path).flatMap(([id, kind, model]) => {
    const streams = kind === 'chat-completion' || kind === 'text-generation' ? [false, true] : [false];
    return streams
      .filter((isStreamed) => isStreamed || !streamedOnly.includes(name))
      .map((isStreamed) => ({ name, id, kind, model, isStreamed }));
  }),
);

test('each misbehaviour has a name of its own, a source, and an expected result', () => {
  const names = misbehaviours.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(40);
  for (const { source } of misbehaviours) expect(source).toMatch(/^https:\/\/[\w.-]+\/\S+/);
  expect(Object.keys({ ...answers, ...failures }).sort()).toEqual([...names].sort());
});

test.each(rows)('$name: $id, $kind, streamed: $isStreamed', async ({ name, id, kind, model, isStreamed }) => {
  const run = createRun();
  const work = call(id, kind, model, isStreamed ? { stream: true } : {}, run);
  const expected = failures[name];
  if (expected) {
    const failure = await work.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProviderFailure);
    expect(failure).toMatchObject(expected);
    const { message, code, param } = failure as ProviderFailure;
    for (const text of [message, code, param ?? '']) {
      expect(text).toBe(text.toWellFormed());
      expect(text).not.toContain('\0');
    }
  } else {
    expect(answerOf(kind, await work)).toMatchObject(answers[name]!);
    if (!isStreamed) expect(run.recorded.deltas).toEqual([]);
  }
});

test.each(rows.filter(({ name, isStreamed }) => isStreamed && name in answers))(
  'the parts that are streamed add up to the stored answer: $name, $id',
  async ({ id, kind, model }) => {
    const run = createRun();
    const { choices } = answerOf(kind, await call(id, kind, model, { stream: true }, run));
    for (const { index, message, text } of choices) {
      const deltas = (run.recorded.deltas as StreamedDelta[]).filter((delta) => (delta.index ?? 0) === index);
      const whole: NonNullable<Choice['message']> = message ?? { content: text ?? null };
      expect(deltas.map(({ text: part = '' }) => part).join('')).toBe(whole.content ?? '');
      const calls: { id?: string; name: string; args: string }[] = [];
      for (const { index: at, id: callId, function: called } of deltas.flatMap(
        ({ toolCalls = [] }) => toolCalls,
      )) {
        const one = (calls[at] ??= { name: '', args: '' });
        one.id ??= callId;
        one.name += called.name ?? '';
        one.args += called.arguments;
      }
      expect(calls.map((one) => toolCall(one.id, one.name, one.args || '{}'))).toEqual(
        whole['tool_calls'] ?? [],
      );
      for (const field of ['reasoning', 'reasoning_content'])
        expect(deltas.map(({ fields }) => fields?.[field] ?? '').join('')).toBe(whole[field] ?? '');
    }
  },
);

test('a server that refuses base64 is asked for numbers, and remembered', async () => {
  providers = createProvidersAt(upstream);
  for (let round = 0; round < 2; round++) await call('openai', 'embeddings', 'refuses-base64');
  const formats = upstream.calls.map(({ body }) => (body as { encoding_format: string }).encoding_format);
  expect(formats).toEqual(['base64', 'float', 'float']);
});

test('a run whose log has a percentage reports it', async () => {
  const run = createRun();
  await call('hf', 'text-to-video', 'fal/queue-log-percent', {}, run);
  expect(run.recorded.progress.at(-1)).toMatchObject({ percent: 25, log: 'Rendering: 25 %' });
});

test('an image that is a data URI is read, and one on an address of another server is not fetched', async () => {
  const url = 'data:image/png;base64,iVBORw0KGgo=';
  upstream.script({ status: 200, json: { data: [{ b64_json: null, url }] }, times: 1 });
  expect(await call('openai', 'text-to-image', 'x')).toMatchObject({
    images: [{ bytes: expect.anything() }],
  });
  upstream.script({ status: 200, json: { data: [{ url: 'http://127.0.0.1:1/x.png' }] } });
  await expect(call('openai', 'text-to-image', 'x')).rejects.toMatchObject({ code: 'invalid_output' });
});

test('models of an OpenAI-compatible server are listed, in every shape of the list', async () => {
  const openai = providers.list.find(({ id }) => id === 'openai')!;
  const listModels = () => openai.listModels!();
  expect(await listModels()).toContain('scripted/seeing');
  upstream.script({ status: 200, json: [{ id: 'a' }, { name: 'b' }, { id: null }, 'c'], times: 1 });
  expect(await listModels()).toEqual(['a', 'b']);
  upstream.script({ status: 500 });
  expect(await listModels()).toEqual([]);
});

test('usage: details are kept and counted, and what is absent stays absent', async () => {
  const counted = await call('openai', 'chat-completion', 'usage-before-the-end', { stream: true });
  expect(counted).toMatchObject({ usage: { inputTokens: 3, outputTokens: 2, cachedTokens: 2 } });
  expect(counted).not.toHaveProperty('usage.reasoningTokens');
  const silent = answerOf('chat-completion', await call('openai', 'chat-completion', 'tool-calls-null'));
  expect(silent).not.toHaveProperty('usage');
});
