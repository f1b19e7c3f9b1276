import type { ClaimedTask, StoredProgress } from '#database';
import type { Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { createLiveRun } from './live-run.ts';

const { signal } = new AbortController();
const task = { taskId: 'task_1', attempt: 2, upstreamRunId: 'run-7' } as ClaimedTask;

function createFixture() {
  const progressWrites: StoredProgress[] = [];
  const deltas: unknown[] = [];
  let isCurrent = true;
  const bus = {
    signal: () => undefined,
    openStream: () => ({ send: (delta: unknown) => deltas.push(delta), end: () => undefined }),
  } as unknown as Bus;
  const tasks = {
    recordProgress: async (_: unknown, progress: StoredProgress) => progressWrites.push(progress) > 0,
    saveRunId: async () => isCurrent,
  };
  const live = createLiveRun(task, { tasks, bus, log: createLogger('test', 'silent') });
  return { live, progressWrites, deltas, supersede: () => (isCurrent = false) };
}

test('resumes the upstream run of an earlier attempt, because a second run would be paid for again', async () => {
  const { live } = createFixture();
  expect(live.createRun(signal).resume).toBe('run-7');
  const again = live.createRun(signal);
  expect(again.resume).toBe('run-7');
  await again.saveRunId('run-8').catch(() => undefined);
  expect(live.createRun(signal).resume).toBe('run-8');
  await live.end();
});

test('percent never decreases, and only the newest progress is written', async () => {
  const { live, progressWrites } = createFixture();
  const run = live.createRun(signal);
  run.reportProgress({ percent: 30 });
  run.reportProgress({ percent: 10, stage: 'rendering' });
  run.reportProgress({ percent: 20, stage: 'encoding' });
  while (progressWrites.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await live.end();
  expect(progressWrites).toEqual([{ percent: 30 }, { percent: 30, stage: 'encoding' }]);
  run.reportProgress({ percent: 50 });
  expect(progressWrites).toHaveLength(2);
});

test('a superseded attempt cannot continue after it has started an upstream run', async () => {
  const { live, supersede } = createFixture();
  const run = live.createRun(signal);
  await run.saveRunId('run-8');
  supersede();
  await expect(run.saveRunId('run-9')).rejects.toMatchObject({ code: 'attempt_superseded' });
  await live.end();
});

test('deltas are streamed until the end and not after it', async () => {
  const { live, deltas } = createFixture();
  const run = live.createRun(signal);
  expect(live.firstTokenMs).toBeNull();
  run.stream({ text: 'a' });
  expect(live.firstTokenMs).toBeGreaterThanOrEqual(0);
  await live.end();
  run.stream({ text: 'b' });
  expect(deltas).toEqual([{ text: 'a' }]);
});
