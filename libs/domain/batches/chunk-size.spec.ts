import { computeChunkLines } from './chunk-size.ts';

const limits = {
  seconds: 4,
  maxLines: 20_000,
  unmeasuredMaxLines: 4_000,
  maxBytes: 8 * 2 ** 20,
  maxAnswerBytes: 2 ** 26,
};

test.each([
  ['a small batch gets chunks of the minimum size', 120, null, 50],
  ['a medium batch gets twenty chunks', 10_000, null, 500],
  ['a large batch gets chunks of the unmeasured maximum when the speed is unknown', 10_000_000, null, 4_000],
  ['a slow model gets chunks of a few seconds', 10_000_000, 10, 40],
  ['a very slow model gets one line per chunk', 10_000_000, 0.01, 1],
  ['a small batch of a fast model gets chunks of at least 0.1 s', 10_000, 20_000, 2_000],
  ['a fast model gets at most maxLines per chunk', 1_000_000, 100_000, 20_000],
  ['a batch of one line gets one chunk', 1, null, 50],
])('%s', (_, total, linesPerSecond, expected) => {
  expect(computeChunkLines(total, limits, linesPerSecond)).toBe(expected);
});

test('a kind with one line per chunk keeps one line per chunk for any number of lines', () => {
  expect(computeChunkLines(1_000_000, { ...limits, maxLines: 1 }, null)).toBe(1);
});
