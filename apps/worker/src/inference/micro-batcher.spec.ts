import { jest } from '@jest/globals';
import { kinds, type EmbeddingsInput, type Kind } from '#catalogue';
import { CredentialState, AdaptivePacking, ProviderFailure, CallPolicy } from '#domain';
import { silentRun } from '#providers';
import { createLogger } from '#telemetry';
import { noMedia } from '../../../../test/support/no-media.ts';
import { FairCallLimiter } from './call-limiter.ts';
import { MicroBatcher } from './micro-batcher.ts';

const kind = kinds.embeddings as unknown as Kind;
const log = createLogger('test', 'silent');
const never = new AbortController().signal;

afterEach(() => jest.restoreAllMocks());

/** A lane on a device of one slot, whose calls are answered when the test says so. */
function lane() {
  const calls: {
    inputs: string[];
    signal: AbortSignal;
    answer: () => void;
    fail: (error: unknown) => void;
  }[] = [];
  const direct = new MicroBatcher(new FairCallLimiter(1));
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
      const { outcome } = await direct.run({
        ...{ kind, call, key, policy, packing, body, signal, log },
        ...{ run: silentRun, media: noMedia },
      });
      return 'answer' in outcome ? JSON.parse(outcome.answer.json).data[0].embedding[0] : outcome.failure;
    },
    async called(count: number) {
      while (calls.length < count) await new Promise((resolve) => setImmediate(resolve));
      return calls.at(count - 1)!;
    },
  };
}

test('an idle device runs a request at once and alone; those that come meanwhile go together', async () => {
  const on = lane();
  const first = on.send('a');
  expect((await on.called(1)).inputs).toEqual(['a']);
  const others = ['bb', 'ccc', 'dddd'].map((input) => on.send(input));
  const other = on.send('other model', { key: 'other' });
  on.calls[0]!.answer();
  expect(await first).toBe(1);
  const packed = await on.called(2);
  expect(packed.inputs).toEqual(['bb', 'ccc', 'dddd']);
  packed.answer();
  expect(await Promise.all(others)).toEqual([2, 3, 4]);
  (await on.called(3)).answer();
  expect(await other).toBe(11);
});

test('a call is filled to its bounds and no further', async () => {
  const on = lane();
  const sent = ['a', 'b', 'c', 'd', 'e'].map((input) => on.send(input, { maxItems: 2 }));
  const sizes: number[] = [];
  for (let nth = 1; nth <= 3; nth++) {
    const call = await on.called(nth);
    sizes.push(call.inputs.length);
    call.answer();
  }
  await Promise.all(sent);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(5);
  expect(Math.max(...sizes)).toBe(2);
});

test('one of several that is cancelled leaves the others their call; the last one ends it', async () => {
  const on = lane();
  const first = on.send('first');
  await on.called(1);
  const [a, b] = [new AbortController(), new AbortController()];
  const sent = [on.send('a', { signal: a.signal }), on.send('bb', { signal: b.signal })];
  on.calls[0]!.answer();
  await first;
  const packed = await on.called(2);
  a.abort(new Error('cancelled'));
  await expect(sent[0]).rejects.toThrow('cancelled');
  expect(packed.signal.aborted).toBe(false);
  b.abort(new Error('cancelled too'));
  await expect(sent[1]).rejects.toThrow('cancelled too');
  expect(packed.signal.aborted).toBe(true);
});

test('one that is cancelled while it waits is never called', async () => {
  const on = lane();
  const first = on.send('first');
  await on.called(1);
  const gone = new AbortController();
  const cancelled = on.send('gone', { signal: gone.signal });
  const stays = on.send('stays');
  gone.abort(new Error('cancelled'));
  await expect(cancelled).rejects.toThrow('cancelled');
  on.calls[0]!.answer();
  await first;
  const next = await on.called(2);
  expect(next.inputs).toEqual(['stays']);
  next.answer();
  await stays;
});

test('of requests that shared a call only the one at fault fails', async () => {
  const on = lane();
  const first = on.send('first');
  await on.called(1);
  const sent = ['a', 'bad', 'cc'].map((input) => on.send(input));
  on.calls[0]!.answer();
  await first;
  const refuse = new ProviderFailure('bad', { code: 'bad_input', status: 400, retryable: false });
  for (let nth = 2; ; nth++) {
    const call = await on.called(nth);
    if (call.inputs.includes('bad')) call.fail(refuse);
    else call.answer();
    if (call.inputs.includes('cc') && call.inputs.length === 1) break;
  }
  const [a, bad, c] = await Promise.all(sent);
  expect([a, c]).toEqual([1, 2]);
  expect(bad).toMatchObject({ status: 400, code: 'bad_input' });
});

test('a retry gives its turn to others while it waits', async () => {
  jest.spyOn(Math, 'random').mockReturnValue(0.1);
  const on = lane();
  const retried = on.send('again');
  const call = await on.called(1);
  const other = on.send('other', { key: 'other' });
  call.fail(new ProviderFailure('busy', { status: 503, retryable: true }));
  (await on.called(2)).answer();
  expect(await other).toBe(5);
  (await on.called(3)).answer();
  expect(await retried).toBe(5);
});
