import { computeBackoffMs } from './backoff.ts';

const policy = { baseMs: 1_000, maxMs: 30_000 };

test('the bound doubles up to maxMs, and the pause is random below it', () => {
  const bounds = [1, 2, 3, 4, 5, 6, 7, 60, 2_000].map((failed) => computeBackoffMs(policy, failed, 1));
  expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  expect(computeBackoffMs(policy, 3, 0)).toBe(0);
  expect(computeBackoffMs(policy, 3, 0.25)).toBe(1_000);
});
