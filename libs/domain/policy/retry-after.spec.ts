import { parseRetryAfter } from './retry-after.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const parse = (headers: Record<string, string>) => parseRetryAfter(new Headers(headers), now);

test.each([
  [{ 'retry-after': '3' }, 3_000],
  [{ 'retry-after': '0' }, 0],
  [{ 'retry-after': '1.5' }, 1_500],
  [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:10 GMT' }, 10_000],
  [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
  [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
  [{ 'retry-after': '-1' }, null],
  [{ 'retry-after': '1e9' }, null],
  [{ 'retry-after': '99999999999999999999' }, null],
  [{ 'retry-after': 'soon' }, null],
  [{ 'retry-after': '1.2.3' }, null],
  [{ 'retry-after-ms': 'NaN' }, null],
  [{ 'retry-after': '' }, null],
  [{}, null],
])('%j', (headers, ms) => {
  expect(parse(headers)).toBe(ms);
});
