import type { TaskRow } from '#database';
import { toTaskProgress } from './task-object.ts';

const began = new Date('2026-01-01T00:00:00Z');
const after = (ms: number) => began.getTime() + ms;
const row = (over: Partial<TaskRow>): TaskRow =>
  ({
    status: 'running',
    runStartedAt: began,
    estimateMs: null,
    progress: null,
    finishedAt: null,
    ...over,
  }) as TaskRow;

test('what has not begun has no progress, whatever is known of its like', () => {
  for (const status of ['queued', 'scheduled'] as const)
    expect(toTaskProgress(row({ status, runStartedAt: null, estimateMs: 1_000 }), after(500))).toBeNull();
});

test('what the upstream says is shown as that', () => {
  const told = toTaskProgress(
    row({ progress: { percent: 40, stage: 'rendering' }, estimateMs: 1_000 }),
    after(900),
  );
  expect(told).toMatchObject({ percent: 40, source: 'upstream', stage: 'rendering', estimated_seconds: 1 });
  const waits = toTaskProgress(row({ progress: { queuePosition: 3, stage: 'queued' } }), after(900));
  expect(waits).toMatchObject({ percent: null, source: 'none', upstream_queue_position: 3 });
});

test('where the upstream speaks late and of less, what was shown stays, marked as the estimate that it is', () => {
  const late = (percent: number) =>
    toTaskProgress(row({ progress: { percent, minPercent: 60 }, estimateMs: 1_000 }), after(700));
  expect(late(5)).toMatchObject({ percent: 60, source: 'estimate' });
  expect(late(61)).toMatchObject({ percent: 61, source: 'upstream' });
});

test('an estimate is marked, never falls and never says that it is done', () => {
  // A model that takes twice as long as it used to.
  const estimateMs = 10_000;
  const shown = Array.from({ length: 200 }, (_, at) => toTaskProgress(row({ estimateMs }), after(at * 100))!);
  const percents = shown.map(({ percent }) => percent!);
  expect(shown.every(({ source }) => source === 'estimate')).toBe(true);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  expect(percents.at(-1)).toBe(95);
  const errors = percents.map((percent, at) => percent - (at * 100) / 200);
  const mean = errors.reduce((sum, error) => sum + Math.abs(error), 0) / errors.length;
  console.log(`estimate of a task whose duration doubled: mean error ${mean.toFixed(1)} points`);
  expect(mean).toBeLessThan(50);
});

test('nothing known is said to be that, and an end is an end', () => {
  expect(toTaskProgress(row({}), after(2_000))).toMatchObject({
    percent: null,
    source: 'none',
    elapsed_seconds: 2,
  });
  const done = row({ status: 'succeeded', finishedAt: new Date(after(3_000)), estimateMs: 10_000 });
  expect(toTaskProgress(done, after(60_000))).toMatchObject({ percent: 100, elapsed_seconds: 3 });
});
