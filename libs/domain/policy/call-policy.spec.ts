import { ProviderFailure } from '../errors.ts';
import { CallPolicy, type PolicyOverrides } from './call-policy.ts';
import { CredentialState } from './credential-state.ts';
import { defaultPolicyOptions } from './call-policy.ts';

/** A clock that advances only when all work waits, with the largest pauses that full jitter can draw. */
class VirtualTime {
  at = 1_000_000;
  private readonly sleepers = new Set<{ until: number; wake: () => void }>();

  readonly now = () => this.at;
  readonly random = () => 0.999;
  readonly wait = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const sleeper = { until: this.at + ms, wake: resolve };
      this.sleepers.add(sleeper);
      signal.addEventListener('abort', () => {
        this.sleepers.delete(sleeper);
        reject(signal.reason as Error);
      });
    });

  /** Advances the clock until `work` settles. */
  async until<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const end = () => void (isSettled = true);
    work.then(end, end);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) return work;
      const next = [...this.sleepers].sort((a, b) => a.until - b.until)[0];
      if (!next) continue;
      this.sleepers.delete(next);
      this.at = Math.max(this.at, next.until);
      next.wake();
    }
  }
}

const fails = (status: number, over: { retryAfterMs?: number; code?: string } = {}) =>
  new ProviderFailure('x', { status, retryable: status === 408 || status === 429 || status >= 500, ...over });

/** A policy whose provider answers call number `nth` with a value or an error, on a virtual clock. */
function createFixture(respond: (nth: number, caller: string) => unknown, overrides: PolicyOverrides = {}) {
  const time = new VirtualTime();
  const { budget, ...options } = overrides;
  const policy = {
    ...defaultPolicyOptions,
    ...options,
    budget: { ...defaultPolicyOptions.budget, ...budget },
  };
  const callPolicy = new CallPolicy(new CredentialState(), time, policy);
  const calls: number[] = [];
  const callers: string[] = [];
  let permitsInUse = 0;
  const call = async ({
    caller = '',
    ...more
  }: {
    caller?: string;
    deadline?: number;
    signal?: AbortSignal;
    splitsOnTimeout?: boolean;
    usedAttempts?: number;
    patienceMs?: number;
  } = {}) =>
    callPolicy.call({
      signal: new AbortController().signal,
      ...more,
      acquire: async () => {
        permitsInUse++;
        return () => void permitsInUse--;
      },
      execute: async () => {
        calls.push(time.at);
        callers.push(caller);
        const answer = respond(calls.length, caller);
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
    callers,
    getGaps: () => calls.slice(1).map((at, nth) => at - calls[nth]!),
    getPermitsInUse: () => permitsInUse,
  };
}

/** Calls again when the call is deferred, as chunks do. */
async function callUntilTaken(fixture: ReturnType<typeof createFixture>) {
  for (;;) {
    const result = await fixture.call();
    if (!('failure' in result) || !result.failure.deferrable) return result;
    await fixture.time.wait(result.failure.retryAfterMs ?? 1_000, new AbortController().signal);
  }
}

test('a transient failure is tried three times, with pauses that double, and releases its permit between them', async () => {
  const fixture = createFixture((nth) => (nth < 3 ? fails(500) : 'ok'));
  expect(await fixture.time.until(fixture.call())).toEqual({ answer: 'ok' });
  expect(fixture.getGaps()).toEqual([999, 1_998]);
  expect(fixture.getPermitsInUse()).toBe(0);
  const never = createFixture(() => fails(500));
  const called = await never.time.until(never.call());
  expect(called).toMatchObject({ failureClass: 'transient', usedAttempts: 3 });
  expect(never.calls).toHaveLength(3);
});

test.each([400, 401, 402, 403, 404, 413, 422])('%i is not retried', async (status) => {
  const fixture = createFixture(() => fails(status));
  expect(await fixture.time.until(fixture.call())).toMatchObject({ failure: { status } });
  expect(fixture.calls).toHaveLength(1);
});

test('a credential that is rejected or has no credit is not used for a minute', async () => {
  const fixture = createFixture(() => fails(402));
  for (let nth = 0; nth < 50; nth++) await fixture.time.until(fixture.call());
  expect(fixture.calls).toHaveLength(1);
  fixture.time.at += 60_001;
  await fixture.time.until(fixture.call());
  expect(fixture.calls).toHaveLength(2);
});

test('all calls wait for Retry-After without using up an attempt, and one probes when it is over', async () => {
  const fixture = createFixture((nth) => (nth <= 5 ? fails(429, { retryAfterMs: 4_000 }) : 'ok'));
  expect(await fixture.time.until(Promise.all([fixture.call(), fixture.call(), fixture.call()]))).toEqual(
    Array(3).fill({ answer: 'ok' }),
  );
  // Three were sent before the first answer, then one probe at a time until one succeeded.
  expect(fixture.calls).toHaveLength(8);
  expect(fixture.getGaps().filter((gap) => gap >= 4_000)).toHaveLength(3);
});

test('a long Retry-After is not waited for: each call fails at once with the remaining time', async () => {
  const fixture = createFixture((nth) => (nth === 1 ? fails(429, { retryAfterMs: 3_600_000 }) : 'ok'));
  expect(await fixture.call()).toMatchObject({
    failureClass: 'rate_limited',
    failure: { retryAfterMs: 3_600_000 },
  });
  fixture.time.at += 600_000;
  const other = await fixture.call();
  expect(other).toMatchObject({ failureClass: 'rate_limited', failure: { status: 429 } });
  expect((other as { failure: ProviderFailure }).failure.retryAfterMs).toBeGreaterThanOrEqual(3_000_000);
  expect(fixture.calls).toHaveLength(1);
  fixture.time.at += 3_600_000;
  expect(await fixture.call()).toEqual({ answer: 'ok' });
});

test('after a failed probe another caller probes next, because the input may be the cause', async () => {
  const fixture = createFixture((nth, caller) => (nth <= 5 || caller === 'bad' ? fails(500) : 'ok'));
  const others = Array.from({ length: 4 }, (_, nth) => `good ${nth}`);
  const [bad, ...good] = await fixture.time.until(
    Promise.all(['bad', ...others].map((caller) => fixture.call({ caller }))),
  );
  expect(bad).toMatchObject({ failure: { status: 500 } });
  expect(good).toEqual(others.map(() => ({ answer: 'ok' })));
  expect(fixture.callers.slice(5).indexOf('good 0')).toBe(1); // Directly after the bad one, which probed first.
});

test('a loading model is called again after 5 to 30 s, within a time budget of its own', async () => {
  const fixture = createFixture((nth) => (nth <= 10 ? fails(503, { code: 'model_loading' }) : 'ok'));
  expect(await fixture.time.until(fixture.call())).toEqual({ answer: 'ok' });
  for (const gap of fixture.getGaps()) expect(gap).toBeGreaterThanOrEqual(5_000);
  const never = createFixture(() => fails(503, { code: 'model_loading', retryAfterMs: 100_000 }));
  expect(await never.time.until(never.call())).toMatchObject({ failureClass: 'loading' });
  expect(new Set(never.getGaps())).toEqual(new Set([30_000]));
  expect(never.calls).toHaveLength(11);
});

test('many 503 cost few calls: after five in a row only one call probes, at growing intervals', async () => {
  const fixture = createFixture(() => (fixture.time.at < 1_000_000 + 120_000 ? fails(503) : 'ok'));
  const called = Promise.all(Array.from({ length: 200 }, () => callUntilTaken(fixture)));
  expect(await fixture.time.until(called)).toEqual(Array(200).fill({ answer: 'ok' }));
  expect(fixture.calls.length).toBeLessThanOrEqual(200 * 2 + 10); // All 200 were sent before the first failed.
  const limited = createFixture(() => (limited.time.at < 1_000_000 + 120_000 ? fails(503) : 'ok'));
  const runFourAtOnce = async () => {
    let left = 200;
    const work = async () => {
      while (left-- > 0) await callUntilTaken(limited);
    };
    await Promise.all(Array.from({ length: 4 }, work));
  };
  await limited.time.until(runFourAtOnce());
  expect(limited.calls.length).toBeLessThanOrEqual(220);
});

test('when an outage lasts longer than maxWaitMs, calls fail at once, except for the probe', async () => {
  const fixture = createFixture(() => fails(503), { budget: { maxWaitMs: 20_000 } });
  for (let nth = 0; nth < 100; nth++) await fixture.time.until(fixture.call());
  expect(fixture.calls.length).toBeLessThan(15);
  expect(fixture.time.at - 1_000_000).toBeLessThan(120_000);
});

test('4xx does not open the breaker', async () => {
  const fixture = createFixture((nth) => (nth <= 50 ? fails(400) : 'ok'));
  for (let nth = 0; nth < 50; nth++) await fixture.call();
  expect(await fixture.call()).toEqual({ answer: 'ok' });
  expect(fixture.time.at).toBe(1_000_000);
});

test('no attempt starts after the deadline', async () => {
  const fixture = createFixture(() => fails(503));
  await fixture.time.until(fixture.call({ deadline: fixture.time.at + 1_500 }));
  expect(fixture.calls).toHaveLength(2);
});

test('a packed call that timed out returns to be split, with the attempts that are left', async () => {
  const fixture = createFixture(() => fails(408));
  const first = await fixture.time.until(fixture.call({ splitsOnTimeout: true }));
  expect(first).toMatchObject({ failureClass: 'timed_out', usedAttempts: 1, isFinal: false });
  const last = await fixture.time.until(fixture.call({ usedAttempts: 2 }));
  expect(last).toMatchObject({ failureClass: 'timed_out', usedAttempts: 3, isFinal: true });
  expect(fixture.calls).toHaveLength(2);
});

test('a cancel ends a wait and a call, and another call can probe', async () => {
  const fixture = createFixture((nth) => (nth <= 5 ? fails(500) : 'ok'));
  const controller = new AbortController();
  const cancelled = fixture.call({ signal: controller.signal });
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error('cancelled'));
  await expect(cancelled).rejects.toThrow('cancelled');
  expect(await fixture.time.until(fixture.call())).toMatchObject({ usedAttempts: 3 });
  expect(await fixture.time.until(fixture.call())).toEqual({ answer: 'ok' });
  expect(fixture.getPermitsInUse()).toBe(0);
});

test('503 uses up no attempt of work that can be deferred, and the deferral carries the time to wait', async () => {
  const fixture = createFixture((nth) => (nth <= 3 ? fails(503) : 'ok'));
  expect(await fixture.time.until(fixture.call())).toEqual({ answer: 'ok' });
  const never = createFixture(() => fails(503, { retryAfterMs: 20_000 }));
  expect(await never.time.until(never.call())).toMatchObject({
    usedAttempts: 0,
    failure: { deferrable: true, retryAfterMs: 20_000, status: 503 },
  });
  expect(never.calls).toHaveLength(1);
});

test.each([500, 503])(
  'a waiting caller gets a %i after two attempts, within its patience',
  async (status) => {
    const fixture = createFixture(() => fails(status));
    const first = await fixture.time.until(fixture.call({ patienceMs: 10_000 }));
    expect(first).toMatchObject({ failure: { status, deferrable: false, retryAfterMs: 1_000 } });
    expect(fixture.calls).toHaveLength(2);
    for (let nth = 0; nth < 20; nth++) {
      const startedAt = fixture.time.at;
      const next = await fixture.time.until(fixture.call({ patienceMs: 10_000 }));
      // While the breaker is open, the caller gets what the provider answered last, and when to come again.
      expect(next).toMatchObject({ failure: { status, message: 'x', deferrable: false } });
      expect(fixture.time.at - startedAt).toBeLessThanOrEqual(10_000);
    }
    const blocked = await fixture.time.until(fixture.call({ patienceMs: 100 }));
    expect((blocked as { failure: ProviderFailure }).failure.retryAfterMs).toBeGreaterThan(0);
  },
);

test('a 429 stays a 429 for a waiting caller, and says when to come again', async () => {
  const fixture = createFixture(() => fails(429));
  for (let nth = 0; nth < 5; nth++) {
    const result = await fixture.time.until(fixture.call({ patienceMs: 3_000 }));
    expect(result).toMatchObject({
      failureClass: 'rate_limited',
      failure: { status: 429, deferrable: false },
    });
    expect((result as { failure: ProviderFailure }).failure.retryAfterMs).toBeGreaterThan(0);
  }
  expect(fixture.calls.length).toBeLessThanOrEqual(12);
});

describe.each([
  ['per second', 1_000, false],
  ['per 10 seconds, with Retry-After', 10_000, true],
])('a limit counted %s', (_, windowMs, hasRetryAfter) => {
  test.each([2, 5, 10])(
    'of %i calls a second: 150 calls complete within 1.3 times the ideal time',
    async (perSecond) => {
      const counts = new Map<number, number>();
      let refused = 0;
      const fixture = createFixture(() => {
        const window = Math.floor(fixture.time.at / windowMs);
        const count = (counts.get(window) ?? 0) + 1;
        if (count <= (perSecond * windowMs) / 1_000) {
          counts.set(window, count);
          return 'ok';
        }
        refused++;
        return fails(429, hasRetryAfter ? { retryAfterMs: windowMs - (fixture.time.at % windowMs) } : {});
      });
      const startedAt = fixture.time.at;
      let left = 150;
      const work = async () => {
        while (left-- > 0) {
          const result = await callUntilTaken(fixture);
          if ('answer' in result) await fixture.time.wait(50, new AbortController().signal);
          else throw result.failure;
        }
      };
      await fixture.time.until(Promise.all(Array.from({ length: 8 }, work)));
      const idealMs = (150 / perSecond) * 1_000;
      expect(fixture.time.at - startedAt).toBeLessThanOrEqual(1.3 * idealMs);
      expect(refused / (150 + refused)).toBeLessThan(0.15);
    },
  );
});
