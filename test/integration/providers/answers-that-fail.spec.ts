/** What a provider's answer means, row by row: a chunk's lines against the scripted upstream, its calls counted. */
import { kindOf } from '#catalogue';
import type { ClaimedChunk } from '#database';
import { linesOf, policyOptions } from '#domain';
import { createLogger } from '#telemetry';
import { LineRecords } from '../../../apps/worker/src/batches/line-records.ts';
import { runLines } from '../../../apps/worker/src/batches/run-lines.ts';
import { Devices } from '../../../apps/worker/src/inference/devices.ts';
import { until } from '../../support/platform.ts';
import type { MediaFrom } from '../../../apps/worker/src/inference/media-sources.ts';
import type { Fault } from '../../support/upstream/faults.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { providersAt } from './providers.ts';

const log = createLogger('test', 'silent');
let upstream: ScriptedUpstream;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
});
afterEach(() => upstream.reset());
afterAll(() => upstream.close());

/** The policy as it is, in a hundredth of the time. */
const quick = {
  ...policyOptions,
  budget: { ...policyOptions.budget, baseMs: 10, maxMs: 300, patienceMs: 6_000 },
  breaker: { failures: 5, openMs: 20, mostMs: 600 },
};

/** Chat lines are a call each; embeddings share theirs. */
const bodies = {
  chat: (text: string) => ({ messages: [{ role: 'user', content: text }] }),
  embeddings: (text: string) => ({ input: text, encoding_format: 'float' }),
};
const kinds = { chat: 'chat-completion', embeddings: 'embeddings' } as const;

async function run(what: keyof typeof bodies, texts: readonly string[], fault?: Fault | Fault[]) {
  for (const one of [fault ?? []].flat()) upstream.script(one);
  const chunk = { batchId: 'batch_1', index: 0, kind: kinds[what], model: 'openai/scripted' } as ClaimedChunk;
  const input = texts.map((text, at) =>
    JSON.stringify({
      custom_id: `row-${at}`,
      method: 'POST',
      url: '/v1/x',
      body: { model: chunk.model, ...bodies[what](text) },
    }),
  );
  const lines = [...linesOf(Buffer.from(input.join('\n')), { maxBytes: 2 ** 20 })];
  const records = new LineRecords(chunk.batchId);
  const on = { devices: new Devices(quick), route: providersAt(upstream).route, media: {} as MediaFrom };
  await runLines(chunk, lines, records, on, new AbortController().signal, log);
  const { errors, sums } = records.close();
  const failed = errors
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return {
    ...sums,
    calls: upstream.calls.length,
    failed: failed.map(({ custom_id: id, response }) => [id, response.status_code, response.body.error.code]),
  };
}

const many = (count: number, of = (at: number) => `text ${at}`) =>
  Array.from({ length: count }, (_, at) => of(at));

test('a storm of 503: all lines come through, with hardly more calls than lines', async () => {
  const storm = run('chat', many(300), { status: 503, times: 12 });
  const { completed, calls } = await storm;
  expect(completed).toBe(300);
  expect(calls).toBeLessThanOrEqual(330);
});

test('429 with Retry-After: waited for by all, no try used up, nothing sent meanwhile', async () => {
  const fault = { status: 429, headers: { 'retry-after': '1' } };
  const { completed, calls } = await run('chat', many(40), [{ ...fault, after: 8, times: 5 }]);
  expect(completed).toBe(40);
  expect(calls).toBe(45);
  const limited = upstream.calls.filter(({ status }) => status === 429).at(-1)!;
  const quiet = upstream.calls.filter(({ at }) => at > limited.at + 20 && at < limited.at + 900);
  expect(quiet).toEqual([]);
});

test.each([
  [401, 'provider_token_invalid'],
  [402, 'insufficient_quota'],
])('%i: what is under way ends, and nothing more is sent', async (status, code) => {
  const { failed, calls } = await run('chat', many(50), { status });
  expect(failed).toHaveLength(50);
  expect(new Set(failed.map(([, answered, said]) => `${answered} ${said}`))).toEqual(
    new Set([`${status} ${code}`]),
  );
  expect(calls).toBeLessThanOrEqual(4); // One in each of the four slots.
});

test.each([403, 404])('%i: every line of the call fails at once, with the model’s page', async (status) => {
  const { failed, calls } = await run('embeddings', many(200), { status });
  expect(failed).toHaveLength(200);
  expect(calls).toBe(1);
});

test('400 for one of many that share a call: found by halving, the others are answered', async () => {
  const texts = many(200, (at) => (at === 77 ? 'a bad one' : `text ${at}`));
  const { failed, completed, calls } = await run('embeddings', texts, { status: 400, holding: 'a bad one' });
  expect(failed).toEqual([['row-77', 400, 'provider_error']]);
  expect(completed).toBe(199);
  expect(calls).toBeLessThanOrEqual(17);
});

test('413: halved, and the next calls are packed smaller', async () => {
  const { completed } = await run('embeddings', many(1_000), { status: 413, times: 2 });
  expect(completed).toBe(1_000);
  const sizes = upstream.calls.map(({ body }) => (body as { input: string[] }).input.length);
  expect(Math.max(...sizes.slice(4))).toBeLessThanOrEqual(128);
});

test.each([
  ['truncate', 502, 'provider_unreachable'],
  ['reset', 502, 'provider_unreachable'],
] as const)('%s: tried three times, and no more', async (how, status, code) => {
  const { failed, calls } = await run('chat', ['a'], { [how]: true });
  expect(failed).toEqual([['row-0', status, code]]);
  expect(calls).toBe(3);
});

test('one that breaks off twice is answered the third time', async () => {
  const { completed, calls } = await run('chat', ['a'], { truncate: true, times: 2 });
  expect([completed, calls]).toEqual([1, 3]);
});

test.each(['wrongCount', 'nan', 'wrongDimension'] as const)(
  '%s: never written; halved until the bad one stands alone',
  async (what) => {
    const texts = many(64, (at) => (at === 9 ? 'a bad one' : `text ${at}`));
    const { failed, completed, calls } = await run('embeddings', texts, {
      [what]: true,
      holding: 'a bad one',
    });
    // A vector that is short stands out only among others.
    expect(failed).toEqual(what === 'wrongDimension' ? [] : [['row-9', 502, 'invalid_output']]);
    expect(completed).toBe(64 - failed.length);
    expect(calls).toBeLessThanOrEqual(13);
  },
);

test('503 while a model loads: asked again, outside the budget of tries', async () => {
  const loading = { status: 503, json: { error: 'Model scripted is currently loading' }, times: 1 };
  const began = Date.now();
  const { completed, calls } = await run('chat', ['a'], loading);
  expect([completed, calls]).toEqual([1, 2]);
  expect(Date.now() - began).toBeGreaterThanOrEqual(4_900);
});

test('an upstream that hangs is given up after the kind’s time, three times', async () => {
  const chat = kindOf('chat-completion');
  const usual = chat.timeoutMs;
  Object.assign(chat, { timeoutMs: 200 });
  try {
    const { failed, calls } = await run('chat', ['a'], { hang: true });
    expect(failed).toEqual([['row-0', 408, 'request_timeout']]);
    expect(calls).toBe(3);
    await until(() => upstream.calls.every(({ aborted }) => aborted), {
      what: 'the upstream to see them go',
    });
  } finally {
    Object.assign(chat, { timeoutMs: usual });
  }
});
