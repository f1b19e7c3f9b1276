import { getEventListeners } from 'node:events';
import { jest } from '@jest/globals';
import { createLogger } from '#telemetry';
import { createLoop } from './loop.ts';

const pauseMs = 1_000;
const log = createLogger('test', 'silent');

/** A loop whose runs are counted; `fail` makes them fail. */
function startLoop() {
  const stopping = new AbortController();
  const state = { runs: 0, fail: false };
  const loop = createLoop(
    'test',
    pauseMs,
    async () => {
      state.runs++;
      if (state.fail) throw new Error('the run failed');
    },
    log,
  );
  return { state, loop, stopping, ended: loop.run(stopping.signal) };
}

const advance = (ms: number) => jest.advanceTimersByTimeAsync(ms);

beforeEach(() => void jest.useFakeTimers());
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

test('runs at once, after each pause, and when it is woken', async () => {
  const { state, loop, stopping, ended } = startLoop();
  await advance(pauseMs - 1);
  expect(state.runs).toBe(1);
  await advance(1);
  expect(state.runs).toBe(2);
  loop.wake();
  await advance(0);
  expect(state.runs).toBe(3);
  stopping.abort();
  await ended;
  expect(state.runs).toBe(3);
  expect(getEventListeners(stopping.signal, 'abort')).toEqual([]);
});

test('a wake during a run starts one more run', async () => {
  const { state, loop, stopping, ended } = startLoop();
  loop.wake();
  await advance(0);
  expect(state.runs).toBe(2);
  stopping.abort();
  await ended;
});

test('after a failed run a wake does not end the pause, and an abort does', async () => {
  const { state, loop, stopping, ended } = startLoop();
  await advance(0);
  state.fail = true;
  loop.wake();
  await advance(0);
  expect(state.runs).toBe(2);
  loop.wake();
  await advance(pauseMs - 1);
  expect(state.runs).toBe(2);
  await advance(1);
  expect(state.runs).toBe(3);
  stopping.abort();
  await ended;
  expect(state.runs).toBe(3);
});
