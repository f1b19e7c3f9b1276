import type { ClaimedTask, StoredProgress } from '#database';
import type { Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { createLiveRun } from './live-run.ts';

const { signal } = new AbortController();
const task = { taskId: 'task_1', attempt: 2, upstreamRunId: 'run-7' } as ClaimedTask;

function heard() {
  const notes: StoredProgress[] = [];
  const deltas: unknown[] = [];
  let isHeld = true;
  const bus = {
    signal: () => undefined,
    openStream: () => ({ send: (delta: unknown) => deltas.push(delta), end: () => undefined }),
  } as unknown as Bus;
  const tasks = {
    recordProgress: async (_: unknown, progress: StoredProgress) => notes.push(progress) > 0,
    saveRunId: async () => isHeld,
  };
  const live = createLiveRun(task, { tasks, bus, log: createLogger('test', 'silent') });
  return { live, notes, deltas, lose: () => (isHeld = false) };
}

test('the run that an earlier try began is gone on with, whoever began it: a second would be paid for again', async () => {
  const { live } = heard();
  expect(live.createRun(signal).resume).toBe('run-7');
  const again = live.createRun(signal);
  expect(again.resume).toBe('run-7');
  await again.saveRunId('run-8').catch(() => undefined);
  expect(live.createRun(signal).resume).toBe('run-8');
  await live.end();
});

test('percent never falls, is a percent, and several at once are one', async () => {
  const { live, notes } = heard();
  const run = live.createRun(signal);
  run.reportProgress({ percent: 30 });
  run.reportProgress({ percent: 10, stage: 'rendering' });
  run.reportProgress({ percent: 20, stage: 'encoding' });
  while (notes.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await live.end();
  expect(notes).toEqual([{ percent: 30 }, { percent: 30, stage: 'encoding' }]);
  run.reportProgress({ percent: 50 });
  expect(notes).toHaveLength(2);
});

test('a void attempt may not go on once it has begun a run', async () => {
  const { live, lose } = heard();
  const run = live.createRun(signal);
  await run.saveRunId('run-8');
  lose();
  await expect(run.saveRunId('run-9')).rejects.toMatchObject({ code: 'attempt_void' });
  await live.end();
});

test('words are told until the end and no longer', async () => {
  const { live, deltas } = heard();
  const run = live.createRun(signal);
  expect(live.firstTokenMs).toBeNull();
  run.stream({ text: 'a' });
  expect(live.firstTokenMs).toBeGreaterThanOrEqual(0);
  await live.end();
  run.stream({ text: 'b' });
  expect(deltas).toEqual([{ text: 'a' }]);
});
