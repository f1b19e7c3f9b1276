import { Prices } from './prices.ts';

const none = { calls: 0, inputTokens: 0, outputTokens: 0, images: 0, mediaMs: 0 };

test.each([
  ['openai/gpt-mini', 1],
  ['openai/gpt-large', 2],
  ['openai/whisper', 3],
  ['hf/org/other:fal-ai', 4],
  ['hf/org/model:fal-ai', 5],
  ['hf/org/model', 5],
  ['hf/org/model.x', 5],
  ['hf/org/modelyx', 5],
  ['hf/org/m', 6],
])('the price of %s is that of the most specific name', (model, call) => {
  const prices = new Prices({
    'openai/*': { call: 3 },
    'openai/gpt-mini': { call: 1 },
    'openai/gpt-*': { call: 2 },
    'hf/*:fal-ai': { call: 4 },
    'hf/org/model*': { call: 5 },
    'hf/*': { call: 6 },
  });
  expect(prices.find(model)).toEqual({ call });
});

test('only * is special in a name', () => {
  const prices = new Prices({ 'a/b.c(*': { call: 1 }, 'a/[x]': { call: 2 } });
  expect(prices.find('a/b.c(d')).toEqual({ call: 1 });
  expect(prices.find('a/bxc(d')).toBeNull();
  expect(prices.find('a/x')).toBeNull();
  expect(prices.find('a/[x]')).toEqual({ call: 2 });
});

test.each([
  [{ inputTokens: 0.02 }, { inputTokens: 1_000_000 }, 20_000_000],
  [{ inputTokens: 0.15, outputTokens: 0.6 }, { inputTokens: 1_000, outputTokens: 500 }, 450_000],
  [{ image: 0.04, call: 0.001 }, { images: 3, calls: 1 }, 121_000_000],
  [{ second: 0.1 }, { mediaMs: 4_500 }, 450_000_000],
  [{}, { inputTokens: 1_000 }, 0],
])('%j for %j is %d billionths', (price, used, cost) => {
  expect(new Prices({ 'x/*': price }).estimate('x/y', { ...none, ...used })).toBe(cost);
});

test('without a price the estimate is null and not 0', () => {
  expect(new Prices({ 'x/*': { call: 1 } }).estimate('y/z', none)).toBeNull();
  expect(new Prices().estimate('y/z', none)).toBeNull();
});
