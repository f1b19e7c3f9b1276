import { getEventListeners } from 'node:events';
import { jest } from '@jest/globals';
import {
  onAbort,
  raceAbort,
  sleep,
  sleepOrAbort,
  startTimeLimit,
  TimeoutError,
  waitAtMost,
  waitForAbort,
  withTimeout,
} from './index.ts';

const never = new Promise<never>(() => undefined);
const countListeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

describe('onAbort', () => {
  test('calls the listener once, with the reason', () => {
    const controller = new AbortController();
    const reasons: unknown[] = [];
    onAbort(controller.signal, (reason) => reasons.push(reason));
    controller.abort('stopped');
    controller.abort('again');
    expect(reasons).toEqual(['stopped']);
    expect(countListeners(controller.signal)).toBe(0);
  });

  test('calls the listener at once when the signal is already aborted', () => {
    const reasons: unknown[] = [];
    onAbort(AbortSignal.abort('earlier'), (reason) => reasons.push(reason));
    expect(reasons).toEqual(['earlier']);
  });

  test('calls nothing after the listener is removed, nor without a signal', () => {
    const controller = new AbortController();
    const listener = jest.fn();
    onAbort(controller.signal, listener)();
    onAbort(undefined, listener)();
    expect(countListeners(controller.signal)).toBe(0);
    controller.abort();
    expect(listener).not.toHaveBeenCalled();
  });
});

test('waitForAbort resolves when the signal aborts', async () => {
  const controller = new AbortController();
  const waiting = waitForAbort(controller.signal);
  controller.abort(new Error('the reason is not thrown'));
  await expect(waiting).resolves.toBeUndefined();
});

describe('raceAbort', () => {
  test('settles as the work does and leaves no listener', async () => {
    const { signal } = new AbortController();
    await expect(raceAbort(Promise.resolve(1), signal)).resolves.toBe(1);
    await expect(raceAbort(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed');
    expect(countListeners(signal)).toBe(0);
  });

  test('rejects with the reason of an abort; a later error of the work is ignored', async () => {
    const controller = new AbortController();
    const work = Promise.withResolvers<void>();
    const racing = raceAbort(work.promise, controller.signal);
    const reason = new Error('canceled');
    controller.abort(reason);
    await expect(racing).rejects.toBe(reason);
    work.reject(new Error('later'));
    await expect(raceAbort(never, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('withTimeout', () => {
  test('settles as the work does', async () => {
    await expect(withTimeout(Promise.resolve(1), 100)).resolves.toBe(1);
    await expect(withTimeout(Promise.reject(new Error('failed')), 100)).rejects.toThrow('failed');
  });

  test('rejects after the time limit, with the error that the caller builds', async () => {
    const plain = expect(withTimeout(never, 100)).rejects.toThrow(
      new TimeoutError('no answer within 100 ms'),
    );
    const own = expect(withTimeout(never, 100, () => new RangeError('late'))).rejects.toThrow(RangeError);
    jest.advanceTimersByTime(100);
    await Promise.all([plain, own]);
  });

  test('ignores an error of the work after the time limit', async () => {
    const work = Promise.withResolvers<void>();
    const limited = expect(withTimeout(work.promise, 100)).rejects.toThrow(TimeoutError);
    jest.advanceTimersByTime(100);
    await limited;
    work.reject(new Error('later'));
  });
});

test('waitAtMost says whether the work settled in time, and never rejects', async () => {
  await expect(waitAtMost(100, Promise.resolve())).resolves.toBe(true);
  await expect(waitAtMost(100, Promise.reject(new Error('failed')))).resolves.toBe(true);
  const late = waitAtMost(100, never);
  jest.advanceTimersByTime(100);
  await expect(late).resolves.toBe(false);
});

describe('startTimeLimit', () => {
  test('aborts after the time limit', () => {
    const limit = startTimeLimit(undefined, 100, () => new RangeError('late'));
    jest.advanceTimersByTime(99);
    expect(limit.signal.aborted).toBe(false);
    jest.advanceTimersByTime(1);
    expect(limit.signal.reason).toEqual(new RangeError('late'));
    limit.end();
  });

  test('aborts with the reason of the outer signal', () => {
    const controller = new AbortController();
    const limit = startTimeLimit(controller.signal, 100);
    controller.abort('canceled');
    expect(limit.signal.reason).toBe('canceled');
    limit.end();
    const later = startTimeLimit(controller.signal, 100);
    expect(later.signal.reason).toBe('canceled');
    later.end();
  });

  test('leaves neither a timer nor a listener once it has ended', () => {
    const { signal } = new AbortController();
    const limit = startTimeLimit(signal, 100);
    limit.end();
    expect(countListeners(signal)).toBe(0);
    jest.advanceTimersByTime(1_000);
    expect(limit.signal.aborted).toBe(false);
  });
});

describe('sleep', () => {
  test('resolves after its time and leaves no listener', async () => {
    const { signal } = new AbortController();
    const sleeping = sleep(100, signal);
    jest.advanceTimersByTime(100);
    await sleeping;
    expect(countListeners(signal)).toBe(0);
  });

  test('rejects with the reason of an abort and leaves no timer', async () => {
    const controller = new AbortController();
    const reason = new Error('canceled');
    const sleeping = expect(sleep(100, controller.signal)).rejects.toBe(reason);
    controller.abort(reason);
    await sleeping;
    await expect(sleep(100, controller.signal)).rejects.toBe(reason);
  });

  test('sleepOrAbort resolves in both cases', async () => {
    const controller = new AbortController();
    const sleeping = sleepOrAbort(100, controller.signal);
    controller.abort();
    await expect(sleeping).resolves.toBeUndefined();
    const full = sleepOrAbort(100, new AbortController().signal);
    jest.advanceTimersByTime(100);
    await expect(full).resolves.toBeUndefined();
  });
});
