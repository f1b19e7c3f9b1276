import { jest } from '@jest/globals';
import { kinds, type EmbeddingsInput, type Kind } from '#catalogue';
import { CredentialState, AdaptivePacking, ProviderFailure, CallPolicy } from '#domain';
import { createSilentRun } from '#providers';
import { createLogger } from '#telemetry';
import { noMedia } from '../../../../test/support/no-media.ts';
import { FairCallLimiter } from './call-limiter.ts';
import { MicroBatcher } from './micro-batcher.ts';

const kind = kinds.embeddings as unknown as Kind;
const log = createLogger('test', 'silent');
const never = new AbortController().signal;

afterEach(() => jest.restoreAllMocks());

/** A micro-batcher with one permit, whose calls are answered when the test says so. */
function createFixture() {
  const calls: {
    inputs: string[];
    signal: AbortSignal;
    answer: () => void;
    fail: (error: unknown) => void;
  }[] = [];
  const microBatcher = new MicroBatcher(new FairCallLimiter(1));
  const policy = new CallPolicy(new CredentialState(), {
    now: Date.now,
    random: () => 0,
    wait: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const call = (input: unknown, { signal }: { signal: AbortSignal }) => {
    const inputs = (input as EmbeddingsInput).inputs as string[];
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    signal.addEventListener('abort', () => reject(signal.reason as Error));
    const vectors = inputs.map((text) => new Float32Array([text.length]));
    const answer = () => resolve({ vectors, tokens: inputs.map(() => 1) });
    calls.push({ inputs, signal, answer, fail: reject });
    return promise;
  };
  return {
    calls,
    async send(input: string, { key = 'k', signal = never, maxItems = 256 } = {}) {
      const body = { model: 'm', input, encoding_format: 'float' };
      const packing = new AdaptivePacking(() => ({ maxTokens: 1_000, maxItems }));
      const { outcome } = await microBatcher.run({
        ...{ kind, call, key, policy, packing, body, signal, log },
        ...{ run: createSilentRun, media: noMedia, patienceMs: null, mayDefer: true },
      });
      return 'answer' in outcome ? JSON.parse(outcome.answer.json).data[0].embedding[0] : outcome.failure;
    },
    async waitForCall(count: number) {
      while (calls.length < count) await new Promise((resolve) => setImmediate(resolve));
      return calls.at(count - 1)!;
    },
  };
}

test('sends a request at once when a permit is free, and packs the requests that arrive during its call', async () => {
  const fixture = createFixture();
  const first = fixture.send('a');
  expect((await fixture.waitForCall(1)).inputs).toEqual(['a']);
  const others = ['bb', 'ccc', 'dddd'].map((input) => fixture.send(input));
  const other = fixture.send('other model', { key: 'other' });
  fixture.calls[0]!.answer();
  expect(await first).toBe(1);
  const packed = await fixture.waitForCall(2);
  expect(packed.inputs).toEqual(['bb', 'ccc', 'dddd']);
  packed.answer();
  expect(await Promise.all(others)).toEqual([2, 3, 4]);
  (await fixture.waitForCall(3)).answer();
  expect(await other).toBe(11);
});

test('fills a call up to its limits and not beyond', async () => {
  const fixture = createFixture();
  const sent = ['a', 'b', 'c', 'd', 'e'].map((input) => fixture.send(input, { maxItems: 2 }));
  const sizes: number[] = [];
  for (let nth = 1; nth <= 3; nth++) {
    const call = await fixture.waitForCall(nth);
    sizes.push(call.inputs.length);
    call.answer();
  }
  await Promise.all(sent);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(5);
  expect(Math.max(...sizes)).toBe(2);
});

test('a cancelled request does not end a shared call, the last one that is cancelled does', async () => {
  const fixture = createFixture();
  const first = fixture.send('first');
  await fixture.waitForCall(1);
  const [a, b] = [new AbortController(), new AbortController()];
  const sent = [fixture.send('a', { signal: a.signal }), fixture.send('bb', { signal: b.signal })];
  fixture.calls[0]!.answer();
  await first;
  const packed = await fixture.waitForCall(2);
  a.abort(new Error('cancelled'));
  await expect(sent[0]).rejects.toThrow('cancelled');
  expect(packed.signal.aborted).toBe(false);
  b.abort(new Error('cancelled too'));
  await expect(sent[1]).rejects.toThrow('cancelled too');
  expect(packed.signal.aborted).toBe(true);
});

test('a request that is cancelled while it waits is never sent', async () => {
  const fixture = createFixture();
  const first = fixture.send('first');
  await fixture.waitForCall(1);
  const gone = new AbortController();
  const cancelled = fixture.send('gone', { signal: gone.signal });
  const stays = fixture.send('stays');
  gone.abort(new Error('cancelled'));
  await expect(cancelled).rejects.toThrow('cancelled');
  fixture.calls[0]!.answer();
  await first;
  const next = await fixture.waitForCall(2);
  expect(next.inputs).toEqual(['stays']);
  next.answer();
  await stays;
});

test('of requests that share a call only the one at fault fails', async () => {
  const fixture = createFixture();
  const first = fixture.send('first');
  await fixture.waitForCall(1);
  const sent = ['a', 'bad', 'cc'].map((input) => fixture.send(input));
  fixture.calls[0]!.answer();
  await first;
  const refuse = new ProviderFailure('bad', { code: 'bad_input', status: 400, retryable: false });
  for (let nth = 2; ; nth++) {
    const call = await fixture.waitForCall(nth);
    if (call.inputs.includes('bad')) call.fail(refuse);
    else call.answer();
    if (call.inputs.includes('cc') && call.inputs.length === 1) break;
  }
  const [a, bad, c] = await Promise.all(sent);
  expect([a, c]).toEqual([1, 2]);
  expect(bad).toMatchObject({ status: 400, code: 'bad_input' });
});

test('a request that waits for its retry releases its permit to others', async () => {
  jest.spyOn(Math, 'random').mockReturnValue(0.1);
  const fixture = createFixture();
  const retried = fixture.send('again');
  const call = await fixture.waitForCall(1);
  const other = fixture.send('other', { key: 'other' });
  call.fail(new ProviderFailure('busy', { status: 503, retryable: true }));
  (await fixture.waitForCall(2)).answer();
  expect(await other).toBe(5);
  (await fixture.waitForCall(3)).answer();
  expect(await retried).toBe(5);
});
