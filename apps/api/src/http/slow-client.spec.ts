import { SlowClientDetector } from './slow-client.ts';

const mb = 1 << 20;

test('a burst may wait, a client that never catches up may not', () => {
  const backlog = new SlowClientDetector();
  expect([0, 1, 4.9].map((s) => backlog.isTooSlow(2 * mb, s * 1_000))).toEqual([false, false, false]);
  expect(backlog.isTooSlow(mb, 5_000)).toBe(false);
  expect([6, 10.9].map((s) => backlog.isTooSlow(2 * mb, s * 1_000))).toEqual([false, false]);
  expect(backlog.isTooSlow(2 * mb, 11_001)).toBe(true);
});

test('more than a burst is too much at once', () => {
  expect(new SlowClientDetector().isTooSlow(17 * mb, 0)).toBe(true);
});
