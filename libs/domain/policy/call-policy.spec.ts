import { ProviderFailure } from '../errors.ts';
import { CredentialState, CallPolicy, type PolicyOverrides } from './call-policy.ts';
import { defaultPolicyOptions } from './call-policy.ts';

/** Time that passes only when all wait for it, and no chance: the largest pause that full jitter may draw. */
class VirtualTime {
  at = 1_000_000;
  private readonly sleeping = new Set<{ until: number; wake: () => void }>();

  readonly now = () => this.at;
  readonly random = () => 0.999;
  readonly wait = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const sleeper = { until: this.at + ms, wake: resolve };
      this.sleeping.add(sleeper);
      signal.addEventListener('abort', () => {
        this.sleeping.delete(sleeper);
        reject(signal.reason as Error);
      });
    });

  /** Lets it pass until `work` is over. */
  async until<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const end = () => void (isOver = true);
    work.then(end, end);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isOver) return work;
      const next = [...this.sleeping].sort((a, b) => a.until - b.until)[0];
      if (!next) continue;
      this.sleeping.delete(next);
      this.at = Math.max(this.at, next.until);
      next.wake();
    }
  }
}

const fails = (status: number, over: { retryAfterMs?: number; code?: string } = {}) =>
  new ProviderFailure('x', { status, retryable: status === 408 || status === 429 || status >= 500, ...over });

function provider(answers: (nth: number, who: string) => unknown, over: PolicyOverrides = {}) {
  const time = new VirtualTime();
  const { budget, ...options } = over;
  const policy = {
    ...defaultPolicyOptions,
    ...options,
    budget: { ...defaultPolicyOptions.budget, ...budget },
  };
  const upstream = new CallPolicy(new CredentialState(), time, policy);
  const calls: number[] = [];
  const asked: string[] = [];
  let inTurns = 0;
  const call = async ({
    who = '',
    ...more
  }: {
    who?: string;
    deadline?: number;
    signal?: AbortSignal;
    splitsOnTimeout?: boolean;
    usedAttempts?: number;
  } = {}) =>
    upstream.call({
      signal: new AbortController().signal,
      ...more,
      acquire: async () => {
        inTurns++;
        return () => void inTurns--;
      },
      execute: async () => {
        calls.push(time.at);
        asked.push(who);
        const answer = answers(calls.length, who);
        if (answer instanceof Error) throw answer;
        return answer;
      },
      translate: (error) => error as ProviderFailure,
      observe: () => undefined,
    });
  return {
    time,
    call,
    calls,
    asked,
    gaps: () => calls.slice(1).map((at, nth) => at - calls[nth]!),
    turns: () => inTurns,
  };
}

test('what may pass is tried three times, after pauses that double, and gives its turn up between them', async () => {
  const on = provider((nth) => (nth < 3 ? fails(503) : 'well'));
  expect(await on.time.until(on.call())).toEqual({ answer: 'well' });
  expect(on.gaps()).toEqual([999, 1_998]);
  expect(on.turns()).toBe(0);
  const never = provider(() => fails(500));
  const called = await never.time.until(never.call());
  expect(called).toMatchObject({ failureClass: 'transient', usedAttempts: 3 });
  expect(never.calls).toHaveLength(3);
});

test.each([400, 401, 402, 403, 404, 413, 422])('%i is not tried again', async (status) => {
  const on = provider(() => fails(status));
  expect(await on.time.until(on.call())).toMatchObject({ failure: { status } });
  expect(on.calls).toHaveLength(1);
});

test('a token that is refused, or without credit, is used no more for a minute, whatever the model', async () => {
  const on = provider(() => fails(402));
  for (let nth = 0; nth < 50; nth++) await on.time.until(on.call());
  expect(on.calls).toHaveLength(1);
  on.time.at += 60_001;
  await on.time.until(on.call());
  expect(on.calls).toHaveLength(2);
});

test('Retry-After is waited for by all calls, uses up no try, and one goes first when it is over', async () => {
  const on = provider((nth) => (nth <= 5 ? fails(429, { retryAfterMs: 4_000 }) : 'well'));
  expect(await on.time.until(Promise.all([on.call(), on.call(), on.call()]))).toEqual(
    Array(3).fill({ answer: 'well' }),
  );
  // Three went before any was told; then one at a time until one was answered.
  expect(on.calls).toHaveLength(8);
  expect(on.gaps().filter((gap) => gap >= 4_000)).toHaveLength(3);
});

test('nobody is held for a long Retry-After: each is told at once when to come again', async () => {
  const on = provider((nth) => (nth === 1 ? fails(429, { retryAfterMs: 3_600_000 }) : 'well'));
  expect(await on.call()).toMatchObject({ failureClass: 'limited', failure: { retryAfterMs: 3_600_000 } });
  on.time.at += 600_000;
  const other = await on.call();
  expect(other).toMatchObject({ failureClass: 'limited', failure: { status: 429 } });
  expect((other as { failure: ProviderFailure }).failure.retryAfterMs).toBeGreaterThanOrEqual(3_000_000);
  expect(on.calls).toHaveLength(1);
  on.time.at += 3_600_000;
  expect(await on.call()).toEqual({ answer: 'well' });
});

test('one that went first in vain lets others go before it: its input may be what fails', async () => {
  const on = provider((nth, who) => (nth <= 5 || who === 'bad' ? fails(500) : 'well'));
  const others = Array.from({ length: 4 }, (_, nth) => `good ${nth}`);
  const [bad, ...good] = await on.time.until(Promise.all(['bad', ...others].map((who) => on.call({ who }))));
  expect(bad).toMatchObject({ failure: { status: 500 } });
  expect(good).toEqual(others.map(() => ({ answer: 'well' })));
  expect(on.asked.slice(5).indexOf('good 0')).toBe(1); // After the bad one, which was the first to ask again.
});

test('a model that loads is asked again after 5 to 30 s, within a budget of its own', async () => {
  const on = provider((nth) => (nth <= 10 ? fails(503, { code: 'model_loading' }) : 'well'));
  expect(await on.time.until(on.call())).toEqual({ answer: 'well' });
  for (const gap of on.gaps()) expect(gap).toBeGreaterThanOrEqual(5_000);
  const never = provider(() => fails(503, { code: 'model_loading', retryAfterMs: 100_000 }));
  expect(await never.time.until(never.call())).toMatchObject({ failureClass: 'loading' });
  expect(new Set(never.gaps())).toEqual(new Set([30_000]));
  expect(never.calls).toHaveLength(11);
});

test('a storm of 503 costs few calls: after five in a row one alone goes to see, at growing intervals', async () => {
  const on = provider(() => (on.time.at < 1_000_000 + 120_000 ? fails(503) : 'well'));
  const called = await on.time.until(Promise.all(Array.from({ length: 200 }, () => on.call())));
  expect(called.filter((one) => 'answer' in one)).toHaveLength(200);
  expect(on.calls.length).toBeLessThanOrEqual(200 * 2 + 10); // All 200 had been sent before the first failed.
  const lane = provider(() => (lane.time.at < 1_000_000 + 120_000 ? fails(503) : 'well'));
  const inLanes = async () => {
    let left = 200;
    const work = async () => {
      while (left-- > 0) await lane.call();
    };
    await Promise.all(Array.from({ length: 4 }, work));
  };
  await lane.time.until(inLanes());
  expect(lane.calls.length).toBeLessThanOrEqual(220);
});

test('a provider that is down beyond patience fails what comes at once, but for the one that goes to see', async () => {
  const on = provider(() => fails(503), { budget: { maxWaitMs: 20_000 } });
  for (let nth = 0; nth < 100; nth++) await on.time.until(on.call());
  expect(on.calls.length).toBeLessThan(15);
  expect(on.time.at - 1_000_000).toBeLessThan(120_000);
});

test('4xx opens no breaker', async () => {
  const on = provider((nth) => (nth <= 50 ? fails(400) : 'well'));
  for (let nth = 0; nth < 50; nth++) await on.call();
  expect(await on.call()).toEqual({ answer: 'well' });
  expect(on.time.at).toBe(1_000_000);
});

test('no try begins that would come after the deadline', async () => {
  const on = provider(() => fails(503));
  await on.time.until(on.call({ deadline: on.time.at + 1_500 }));
  expect(on.calls).toHaveLength(2);
});

test('a packed call that was overdue comes back for its halves, which have the tries that are left', async () => {
  const on = provider(() => fails(408));
  const first = await on.time.until(on.call({ splitsOnTimeout: true }));
  expect(first).toMatchObject({ failureClass: 'overdue', usedAttempts: 1, isFinal: false });
  const last = await on.time.until(on.call({ usedAttempts: 2 }));
  expect(last).toMatchObject({ failureClass: 'overdue', usedAttempts: 3, isFinal: true });
  expect(on.calls).toHaveLength(2);
});

test('a cancel ends a wait and a call, and lets another go first', async () => {
  const on = provider((nth) => (nth <= 5 ? fails(503) : 'well'));
  const gone = new AbortController();
  const cancelled = on.call({ signal: gone.signal });
  await new Promise((resolve) => setImmediate(resolve));
  gone.abort(new Error('cancelled'));
  await expect(cancelled).rejects.toThrow('cancelled');
  expect(await on.time.until(on.call())).toMatchObject({ usedAttempts: 3 });
  expect(await on.time.until(on.call())).toEqual({ answer: 'well' });
  expect(on.turns()).toBe(0);
});
