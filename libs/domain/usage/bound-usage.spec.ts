import { boundUsage } from './bound-usage.ts';

test('keeps usage that can be true', () => {
  const usage = { inputTokens: 3, outputTokens: 4, cost: 0.5, images: 1, seconds: 2.5 };
  expect(boundUsage(usage)).toEqual(usage);
});

test.each([NaN, Infinity, -1, 1e300, 2 ** 63])('counts %p tokens as none', (tokens) => {
  expect(boundUsage({ inputTokens: tokens, outputTokens: tokens })).toEqual({
    inputTokens: 0,
    outputTokens: 0,
  });
});

test.each([NaN, Infinity, -0.01, 1e300])('leaves a cost of %p out', (cost) => {
  expect(boundUsage({ inputTokens: 1, outputTokens: 1, cost })).toEqual({ inputTokens: 1, outputTokens: 1 });
});

test('rounds fractions of tokens', () => {
  expect(boundUsage({ inputTokens: 1.4, outputTokens: 1.6 })).toEqual({ inputTokens: 1, outputTokens: 2 });
});
