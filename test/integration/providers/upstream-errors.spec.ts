/** How failures of a provider affect a chunk's lines: runs them against the scripted upstream and counts its calls. */
import { findKind } from '#catalogue';
import type { ClaimedChunk } from '#database';
import { splitBufferLines, defaultPolicyOptions } from '#domain';
import { createLogger } from '#telemetry';
import { createProviders, type Providers } from '#providers';
import { ProviderHold } from '../../../apps/worker/src/release/provider-hold.ts';
import { LineRecords } from '../../../apps/worker/src/batches/chunks/line-records.ts';
import { runLines } from '../../../apps/worker/src/batches/chunks/run-lines.ts';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { waitUntil } from '../../support/platform.ts';
import type { MediaSourceDeps } from '../../../apps/worker/src/inference/media-sources.ts';
import type { Fault } from '../../support/upstream/faults.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { createProvidersAt } from './provider-fixtures.ts';

const log = createLogger('test', 'silent');
let upstream: ScriptedUpstream;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
});
afterEach(() => upstream.reset());
afterAll(() => upstream.close());

/** The default policy with times of about a hundredth. */
const quick = {
  ...defaultPolicyOptions,
  budget: {
    ...defaultPolicyOptions.budget,
    baseMs: 10,
    maxMs: 300,
    maxWaitMs: 6_000,
    maxInlineWaitMs: 3_000,
  },
  breaker: { maxFailures: 5, openMs: 20, maxOpenMs: 600 },
};

/** Each chat line is a call of its own; embeddings share calls. */
const bodies = {
  chat: (text: string) => ({ messages: [{ role: 'user', content: text }] }),
  embeddings: (text: string) => ({ input: text, encoding_format: 'float' }),
};
const kinds = { chat: 'chat-completion', embeddings: 'embeddings' } as const;

interface Way {
  readonly runtimes?: ModelRuntimes;
  readonly model?: string;
  readonly batchId?: string;
  readonly route?: Providers['route'];
}

async function run(
  what: keyof typeof bodies,
  texts: readonly string[],
  fault?: Fault | Fault[],
  { runtimes = new ModelRuntimes(quick), model = 'openai/scripted', batchId = 'batch_1', route }: Way = {},
) {
  for (const one of [fault ?? []].flat()) upstream.script(one);
  const chunk = { batchId, index: 0, kind: kinds[what], model, ageMs: 0 } as ClaimedChunk;
  const input = texts.map((text, at) =>
    JSON.stringify({
      custom_id: `row-${at}`,
      method: 'POST',
      url: '/v1/x',
      body: { model: chunk.model, ...bodies[what](text) },
    }),
  );
  const lines = [...splitBufferLines(Buffer.from(input.join('\n')), { maxBytes: 2 ** 20 })];
  const records = new LineRecords(chunk.batchId);
  const on = { runtimes, route: route ?? createProvidersAt(upstream).route, media: {} as MediaSourceDeps };
  let hold: ProviderHold | null = null;
  try {
    await runLines(chunk, lines, records, on, new AbortController().signal, log);
  } catch (error) {
    if (!(error instanceof ProviderHold)) throw error;
    hold = error;
  }
  const { errors, sums } = records.close();
  const failed = errors
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return {
    ...sums,
    hold: hold && {
      reason: hold.reason,
      code: hold.failure.code,
      afterMs: hold.failure.retryAfterMs,
    },
    calls: upstream.calls.length,
    failed: failed.map(({ custom_id: id, response }) => [id, response.status_code, response.body.error.code]),
  };
}

const many = (count: number, of = (at: number) => `text ${at}`) =>
  Array.from({ length: count }, (_, at) => of(at));

test('many 503: all lines complete, with few more calls than lines', async () => {
  const storm = run('chat', many(300), { status: 503, times: 12 });
  const { completed, calls } = await storm;
  expect(completed).toBe(300);
  expect(calls).toBeLessThanOrEqual(330);
});

test('429 with Retry-After: all lines wait, no attempt is used, nothing is sent in the meantime', async () => {
  const fault = { status: 429, headers: { 'retry-after': '1' } };
  const { completed, calls } = await run('chat', many(40), [{ ...fault, skip: 8, times: 5 }]);
  expect(completed).toBe(40);
  expect(calls).toBe(45);
  const limited = upstream.calls.filter(({ status }) => status === 429).at(-1)!;
  const quiet = upstream.calls.filter(({ at }) => at > limited.at + 20 && at < limited.at + 900);
  expect(quiet).toEqual([]);
});

test('429 with a longer Retry-After: the chunk is deferred with the remaining lines, and no line fails', async () => {
  const fault = { status: 429, headers: { 'retry-after': '60' }, skip: 8 };
  const { completed, failed, hold, calls } = await run('chat', many(40), fault);
  expect(hold).toEqual({
    reason: 'unavailable',
    code: 'provider_rate_limited',
    afterMs: expect.any(Number),
  });
  expect(hold!.afterMs).toBeGreaterThan(55_000);
  expect([completed, failed]).toEqual([8, []]);
  expect(calls).toBeLessThanOrEqual(12); // Eight that were answered, and one for each of the four permits.
});

test.each([
  [401, 'bad_token', 'provider_token_invalid'],
  [402, 'no_credit', 'insufficient_quota'],
])('%i: running calls end, no more are sent, and no line fails', async (status, reason, code) => {
  const { completed, failed, hold, calls } = await run('chat', many(50), { status, skip: 10 });
  expect(hold).toMatchObject({ reason, code });
  expect([completed, failed]).toEqual([10, []]);
  expect(calls).toBeLessThanOrEqual(14); // Ten that were answered, and one for each of the four permits.
});

test('concurrent calls stay within the limit of the model, and of all providers with the same token', async () => {
  const runtimes = new ModelRuntimes(quick);
  const server = { url: `${upstream.url}/v1`, key: 'sk-of-both', concurrency: 5 };
  const { route } = createProviders({
    openaiCompatible: [
      { ...server, name: 'one', getModelConcurrency: (model) => (model === 'small' ? 2 : undefined) },
      { ...server, name: 'two' },
    ],
  });
  upstream.timing = { callMs: 20, itemMs: 0, pieceMs: 0 };
  const runs = ['one/small', 'one/large', 'two/large'].map((model, at) =>
    run('chat', many(30), undefined, { runtimes, route, model, batchId: `batch_${at}` }),
  );
  for (const { completed } of await Promise.all(runs)) expect(completed).toBe(30);
  expect(Object.fromEntries(upstream.peakConcurrency)).toMatchObject({ '': 5, small: 2 });
});

test('a call has at most the kind’s maximum of tokens', async () => {
  const { completed, calls } = await run(
    'embeddings',
    many(20, (at) => `${at} `.padEnd(16_000, 'x')),
  );
  expect([completed, calls]).toEqual([20, 5]);
});

test('a call that times out is split, the next calls are smaller, and grow again', async () => {
  const embeddings = findKind('embeddings');
  const usual = embeddings.timeoutMs;
  const runtimes = new ModelRuntimes(quick);
  const route = createProvidersAt(upstream).route('openai/scripted', 'embeddings', { workspaceId: null });
  const { packing } = runtimes.get(route, 'embeddings');
  Object.assign(embeddings, { timeoutMs: 2_000 });
  try {
    const hang = { hang: true, times: 1 };
    expect(await run('embeddings', many(1_200), hang, { runtimes })).toMatchObject({ completed: 1_200 });
  } finally {
    Object.assign(embeddings, { timeoutMs: usual });
  }
  expect(packing.maxItems).toBeLessThan(256);
  for (let round = 0; round < 8 && packing.maxItems < 256; round++)
    expect(await run('embeddings', many(2_400), undefined, { runtimes })).toMatchObject({ completed: 2_400 });
  expect(packing.maxItems).toBe(256);
});

test.each([403, 404])('%i: every line of the call fails at once', async (status) => {
  const { failed, calls } = await run('embeddings', many(200), { status });
  expect(failed).toHaveLength(200);
  expect(calls).toBe(1);
});

test('400 for one line of a shared call: the line is found by splitting, the others complete', async () => {
  const texts = many(200, (at) => (at === 77 ? 'a bad one' : `text ${at}`));
  const { failed, completed, calls } = await run('embeddings', texts, {
    status: 400,
    bodyContains: 'a bad one',
  });
  expect(failed).toEqual([['row-77', 400, 'scripted']]);
  expect(completed).toBe(199);
  expect(calls).toBeLessThanOrEqual(17);
});

test('413: the call is split, and the next calls are smaller', async () => {
  const { completed } = await run('embeddings', many(1_000), { status: 413, times: 2 });
  expect(completed).toBe(1_000);
  const sizes = upstream.calls.map(({ body }) => (body as { input: string[] }).input.length);
  expect(Math.max(...sizes.slice(4))).toBeLessThanOrEqual(128);
});

test.each([
  ['truncate', 502, 'provider_unreachable'],
  ['reset', 502, 'provider_unreachable'],
] as const)('%s: three attempts, and no more', async (how, status, code) => {
  const { failed, calls } = await run('chat', ['a'], { [how]: true });
  expect(failed).toEqual([['row-0', status, code]]);
  expect(calls).toBe(3);
});

test('a response that is truncated twice completes at the third attempt', async () => {
  const { completed, calls } = await run('chat', ['a'], { truncate: true, times: 2 });
  expect([completed, calls]).toEqual([1, 3]);
});

test.each(['wrongCount', 'nan', 'wrongDimension'] as const)(
  '%s: never written; the call is split until the bad line is alone',
  async (what) => {
    const texts = many(64, (at) => (at === 9 ? 'a bad one' : `text ${at}`));
    const { failed, completed, calls } = await run('embeddings', texts, {
      [what]: true,
      bodyContains: 'a bad one',
    });
    // A vector that is too short is noticed only among others.
    expect(failed).toEqual(what === 'wrongDimension' ? [] : [['row-9', 502, 'invalid_output']]);
    expect(completed).toBe(64 - failed.length);
    expect(calls).toBeLessThanOrEqual(13);
  },
);

test('503 while a model loads: retried without using an attempt', async () => {
  const loading = { status: 503, json: { error: 'Model scripted is currently loading' }, times: 1 };
  const began = Date.now();
  const { completed, calls } = await run('chat', ['a'], loading);
  expect([completed, calls]).toEqual([1, 2]);
  expect(Date.now() - began).toBeGreaterThanOrEqual(4_900);
});

test('an upstream that hangs is aborted after the kind’s time-out, three times', async () => {
  const chat = findKind('chat-completion');
  const usual = chat.timeoutMs;
  Object.assign(chat, { timeoutMs: 200 });
  try {
    const { failed, calls } = await run('chat', ['a'], { hang: true });
    expect(failed).toEqual([['row-0', 408, 'request_timeout']]);
    expect(calls).toBe(3);
    await waitUntil(() => upstream.calls.every(({ aborted }) => aborted), {
      what: 'the upstream to see the aborts',
    });
  } finally {
    Object.assign(chat, { timeoutMs: usual });
  }
});
