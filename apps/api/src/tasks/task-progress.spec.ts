import type { TaskRow } from '#database';
import { toTaskProgress } from './task-progress.ts';

const startedAt = new Date('2026-01-01T00:00:00Z');
const after = (ms: number) => startedAt.getTime() + ms;
const row = (over: Partial<TaskRow>): TaskRow =>
  ({
    status: 'running',
    runStartedAt: startedAt,
    estimateMs: null,
    progress: null,
    finishedAt: null,
    ...over,
  }) as TaskRow;

test('a task that has not started has no progress, even with an estimate', () => {
  for (const status of ['queued', 'scheduled'] as const)
    expect(toTaskProgress(row({ status, runStartedAt: null, estimateMs: 1_000 }), after(500))).toBeNull();
});

test('the percentage of the upstream is shown, with source upstream', () => {
  const reported = toTaskProgress(
    row({ progress: { percent: 40, stage: 'rendering' }, estimateMs: 1_000 }),
    after(900),
  );
  expect(reported).toMatchObject({
    percent: 40,
    source: 'upstream',
    stage: 'rendering',
    estimated_seconds: 1,
  });
  const queued = toTaskProgress(row({ progress: { queuePosition: 3, stage: 'queued' } }), after(900));
  expect(queued).toMatchObject({ percent: null, source: 'none', upstream_queue_position: 3 });
});

test('a first percentage below the estimate shown before does not lower it; the source stays estimate', () => {
  const late = (percent: number) =>
    toTaskProgress(row({ progress: { percent, minPercent: 60 }, estimateMs: 1_000 }), after(700));
  expect(late(5)).toMatchObject({ percent: 60, source: 'estimate' });
  expect(late(61)).toMatchObject({ percent: 61, source: 'upstream' });
});

test('an estimate has source estimate, never falls and stays below 100', () => {
  // A model that takes twice as long as before.
  const estimateMs = 10_000;
  const shown = Array.from({ length: 200 }, (_, index) =>
    toTaskProgress(row({ estimateMs }), after(index * 100))!,
  );
  const percents = shown.map(({ percent }) => percent!);
  expect(shown.every(({ source }) => source === 'estimate')).toBe(true);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  expect(percents.at(-1)).toBe(95);
  const errors = percents.map((percent, index) => percent - (index * 100) / 200);
  const mean = errors.reduce((sum, error) => sum + Math.abs(error), 0) / errors.length;
  console.log(`estimate of a task whose duration doubled: mean error ${mean.toFixed(1)} points`);
  expect(mean).toBeLessThan(50);
});

test('without percentage and estimate the source is none; a succeeded task is at 100', () => {
  expect(toTaskProgress(row({}), after(2_000))).toMatchObject({
    percent: null,
    source: 'none',
    elapsed_seconds: 2,
  });
  const done = row({ status: 'succeeded', finishedAt: new Date(after(3_000)), estimateMs: 10_000 });
  expect(toTaskProgress(done, after(60_000))).toMatchObject({ percent: 100, elapsed_seconds: 3 });
});
