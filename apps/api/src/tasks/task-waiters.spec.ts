import { jest } from '@jest/globals';
import type { EndedTask } from '#database';
import type { Message, Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { TaskWaiters } from './task-waiters.ts';

const log = createLogger('test', 'silent');
const never = new AbortController().signal;
const end = { status: 'succeeded' as const, output: '{}', error: null };
const ended = (taskId: string): EndedTask => ({ taskId, outputKey: null, ...end });

let open: TaskWaiters[] = [];
afterEach(async () => {
  for (const waiters of open) await waiters.onModuleDestroy();
  open = [];
  jest.useRealTimers();
});

/** Waiters on a bus and a database that the test controls. */
function createHarness(stored: EndedTask[] = []) {
  let publish: (message: Message<'task.ended'>) => void = () => undefined;
  let reportMissed: () => void = () => undefined;
  const polls: (readonly string[])[] = [];
  const bus = {
    subscribe: async (_topic: string, onMessage: never, onMissed: () => void) => {
      publish = onMessage;
      reportMissed = onMissed;
      return async () => undefined;
    },
  } as unknown as Bus;
  const tasks = {
    listEnded: async (ids: readonly string[]) => {
      polls.push(ids);
      return stored.filter(({ taskId }) => ids.includes(taskId));
    },
  };
  const waiters = new TaskWaiters(tasks, bus, log);
  waiters.onModuleInit();
  open.push(waiters);
  return {
    waiters,
    polls,
    stored,
    publish: (message: Message<'task.ended'>) => publish(message),
    reportMissed: () => reportMissed(),
  };
}

test('a message with the end settles its own task without a poll', async () => {
  const { waiters, polls, publish } = createHarness();
  const waiter = waiters.register('task_a');
  publish({ taskId: 'task_b', end });
  publish({ taskId: 'task_a', end });
  expect(await waiter.wait(1_000, never)).toEqual(ended('task_a'));
  expect(polls).toEqual([]);
});

test('after a message without the end, and after missed messages, the end is read from Postgres', async () => {
  const { waiters, publish, reportMissed } = createHarness([ended('task_a'), ended('task_b')]);
  const [a, b] = [waiters.register('task_a'), waiters.register('task_b')];
  publish({ taskId: 'task_a' });
  expect(await a.wait(1_000, never)).toEqual(ended('task_a'));
  reportMissed();
  expect(await b.wait(1_000, never)).toEqual(ended('task_b'));
});

test('without messages Postgres is polled, for all waiters at once, and only while there are waiters', async () => {
  jest.useFakeTimers();
  const { waiters, polls, stored } = createHarness();
  const waits = ['task_a', 'task_b'].map((id) => waiters.register(id).wait(60_000, never));
  await jest.advanceTimersByTimeAsync(2_500);
  expect(polls).toEqual([
    ['task_a', 'task_b'],
    ['task_a', 'task_b'],
  ]);
  stored.push(ended('task_a'), ended('task_b'));
  await jest.advanceTimersByTimeAsync(1_000);
  expect(await Promise.all(waits)).toEqual([ended('task_a'), ended('task_b')]);
  const before = polls.length;
  await jest.advanceTimersByTimeAsync(5_000);
  expect(polls.length).toBe(before);
});

test('a wait ends on timeout, on abort, and when the process stops', async () => {
  jest.useFakeTimers();
  const { waiters } = createHarness();
  const late = waiters.register('task_a').wait(500, never);
  const client = new AbortController();
  const aborted = waiters.register('task_b').wait(60_000, client.signal);
  client.abort();
  expect(await aborted).toBeNull();
  await jest.advanceTimersByTimeAsync(500);
  expect(await late).toBeNull();
  const waiting = waiters.register('task_c').wait(60_000, never);
  const stopping = waiters.onModuleDestroy();
  await jest.advanceTimersByTimeAsync(6_000);
  expect(await waiting).toBeNull();
  await stopping;
});
