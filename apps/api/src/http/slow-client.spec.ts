import { SlowClientDetector } from './slow-client.ts';

const mb = 1 << 20;

test('a burst may wait; a client that does not catch up within 5 s is dropped', () => {
  const client = new SlowClientDetector();
  expect([0, 1, 4.9].map((s) => client.isTooSlow(2 * mb, s * 1_000))).toEqual([false, false, false]);
  expect(client.isTooSlow(mb, 5_000)).toBe(false);
  expect([6, 10.9].map((s) => client.isTooSlow(2 * mb, s * 1_000))).toEqual([false, false]);
  expect(client.isTooSlow(2 * mb, 11_001)).toBe(true);
});

test('a client with more than 16 MiB of waiting data is too slow', () => {
  expect(new SlowClientDetector().isTooSlow(17 * mb, 0)).toBe(true);
});
