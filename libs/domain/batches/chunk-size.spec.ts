import { computeChunkLines } from './chunk-size.ts';

const limits = {
  seconds: 4,
  maxLines: 20_000,
  unmeasuredMaxLines: 4_000,
  maxBytes: 8 * 2 ** 20,
  maxAnswerBytes: 2 ** 26,
};

test.each([
  ['a small batch falls into chunks that are worth their trouble', 120, null, 50],
  ['a middling one into twenty', 10_000, null, 500],
  ['a large one into chunks of the most lines for a model not tried yet', 10_000_000, null, 4_000],
  ['a slow model gets some seconds of work', 10_000_000, 10, 40],
  ['a very slow one at least a line', 10_000_000, 0.01, 1],
  ['a small batch of a fast model is not cut into crumbs', 10_000, 20_000, 2_000],
  ['a fast model still gets no more than the most lines', 1_000_000, 100_000, 20_000],
  ['one line is one chunk', 1, null, 50],
])('%s', (_, total, linesPerSecond, expected) => {
  expect(computeChunkLines(total, limits, linesPerSecond)).toBe(expected);
});

test('a kind of one line a chunk stays so, however many lines there are', () => {
  expect(computeChunkLines(1_000_000, { ...limits, maxLines: 1 }, null)).toBe(1);
});
