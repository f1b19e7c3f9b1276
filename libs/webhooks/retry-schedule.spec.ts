import { getNextAttemptAt, parseRetryAfter, retryDelaysMs } from './retry-schedule.ts';

const at = new Date('2026-11-20T12:00:00Z');
const after = (attempts: number, retryAfter?: string, random = 0) => {
  const next = getNextAttemptAt(attempts, at, retryAfter, () => random);
  return next && (next.getTime() - at.getTime()) / 1_000;
};
const hour = 3_600;

test('retries at once, after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, and then never', () => {
  const all = [5, 300, 1_800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour, null];
  expect(all.map((_, index) => after(index + 1))).toEqual(all);
  expect(retryDelaysMs).toHaveLength(10);
  expect(retryDelaysMs[0]).toBe(0);
});

test('jitter adds up to a tenth of the delay and never shortens it', () => {
  expect(after(1, undefined, 0.999_999)).toBeCloseTo(5.5, 2);
  expect(after(9, undefined, 0.5)).toBeCloseTo(24 * hour * 1.05);
});

test.each([
  ['120', 120],
  [' 7 ', 7],
  ['0', 1],
  ['999999999', 24 * hour],
  ['Fri, 20 Nov 2026 12:01:00 GMT', 60],
  ['Fri, 20 Nov 2099 12:01:00 GMT', 24 * hour],
  ['Fri, 20 Nov 2020 12:01:00 GMT', 300],
  ['-1', 300],
  ['1e9', 300],
  ['1.5', 300],
  ['soon', 300],
  ['', 300],
  ['2026', 2_026],
  ['99999999999999999999', 300],
])('Retry-After: %j', (text, expected) => {
  expect(after(2, text)).toBe(expected);
});

test('Retry-After does not add an attempt to the schedule', () => {
  expect(after(10, '5')).toBeNull();
});

test('an absent Retry-After is null', () => {
  expect(parseRetryAfter(undefined, at)).toBeNull();
});
