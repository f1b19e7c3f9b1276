import { parsePrefer } from './parse-prefer.ts';

test.each([
  ['wait=5', 5_000, 'wait=5'],
  ['wait = 5', 5_000, 'wait=5'],
  ['Wait="7"', 7_000, 'wait=7'],
  ['respond-async, wait=10', 10_000, 'wait=10'],
  ['handling=lenient; wait=3', 3_000, 'wait=3'],
  ['wait', 30_000, 'wait=30'],
  ['wait=9999', 30_000, 'wait=30'],
  ['wait=0', 0, 'wait=0'],
])('%j waits %i ms', (header, waitMs, applied) => {
  expect(parsePrefer(header, 30)).toEqual({ waitMs, appliedHeader: applied });
});

test.each([undefined, '', 'respond-async', 'wait=-1', 'wait=soon', 'wait=1e9', 'waiting=4'])(
  '%j requests no wait',
  (header) => {
    expect(parsePrefer(header, 30)).toEqual({ waitMs: 0, appliedHeader: null });
  },
);
