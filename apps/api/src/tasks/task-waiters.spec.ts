import { jest } from '@jest/globals';
import type { EndedTask } from '#database';
import type { Announcement, Bus } from '#realtime';
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

/** Waiters whose bus and database are in the test's hands. */
function desk(stored: EndedTask[] = []) {
  let say: (news: Announcement<'task.ended'>) => void = () => undefined;
  let missed: () => void = () => undefined;
  const asked: (readonly string[])[] = [];
  const bus = {
    subscribe: async (_topic: string, on: never, resync: () => void) => {
      say = on;
      missed = resync;
      return async () => undefined;
    },
  } as unknown as Bus;
  const tasks = {
    listEnded: async (ids: readonly string[]) => {
      asked.push(ids);
      return stored.filter(({ taskId }) => ids.includes(taskId));
    },
  };
  const waiters = new TaskWaiters(tasks, bus, log);
  waiters.onModuleInit();
  open.push(waiters);
  return {
    waiters,
    asked,
    stored,
    say: (news: Announcement<'task.ended'>) => say(news),
    missed: () => missed(),
  };
}

test('the news that carries the end is enough; nobody else’s is', async () => {
  const { waiters, asked, say } = desk();
  const waiting = waiters.register('task_a');
  say({ taskId: 'task_b', end });
  say({ taskId: 'task_a', end });
  expect(await waiting.wait(1_000, never)).toEqual(ended('task_a'));
  expect(asked).toEqual([]);
});

test('news without it, and a bus that may have lost some, are looked up', async () => {
  const { waiters, say, missed } = desk([ended('task_a'), ended('task_b')]);
  const [a, b] = [waiters.register('task_a'), waiters.register('task_b')];
  say({ taskId: 'task_a' });
  expect(await a.wait(1_000, never)).toEqual(ended('task_a'));
  missed();
  expect(await b.wait(1_000, never)).toEqual(ended('task_b'));
});

test('without any news the clock looks, for all that wait at once, and only while somebody does', async () => {
  jest.useFakeTimers();
  const { waiters, asked, stored } = desk();
  const waits = ['task_a', 'task_b'].map((id) => waiters.register(id).wait(60_000, never));
  await jest.advanceTimersByTimeAsync(2_500);
  expect(asked).toEqual([
    ['task_a', 'task_b'],
    ['task_a', 'task_b'],
  ]);
  stored.push(ended('task_a'), ended('task_b'));
  await jest.advanceTimersByTimeAsync(1_000);
  expect(await Promise.all(waits)).toEqual([ended('task_a'), ended('task_b')]);
  const before = asked.length;
  await jest.advanceTimersByTimeAsync(5_000);
  expect(asked.length).toBe(before);
});

test('a wait ends with its time, with its caller, and with the process', async () => {
  jest.useFakeTimers();
  const { waiters } = desk();
  const late = waiters.register('task_a').wait(500, never);
  const gone = new AbortController();
  const left = waiters.register('task_b').wait(60_000, gone.signal);
  gone.abort();
  expect(await left).toBeNull();
  await jest.advanceTimersByTimeAsync(500);
  expect(await late).toBeNull();
  const held = waiters.register('task_c').wait(60_000, never);
  const leaving = waiters.onModuleDestroy();
  await jest.advanceTimersByTimeAsync(6_000);
  expect(await held).toBeNull();
  await leaving;
});
