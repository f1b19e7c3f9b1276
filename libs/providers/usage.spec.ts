import { parseUsage } from './usage.ts';

test.each([
  [
    { prompt_tokens: 3, completion_tokens: 4 },
    { inputTokens: 3, outputTokens: 4 },
  ],
  [
    { input_tokens: 3, output_tokens: 4 },
    { inputTokens: 3, outputTokens: 4 },
  ],
  [
    { prompt_tokens: 3, cost: 0.001 },
    { inputTokens: 3, outputTokens: 0, cost: 0.001 },
  ],
  [{ cost: { total_cost: 0.002 } }, { inputTokens: 0, outputTokens: 0, cost: 0.002 }],
  [{ cost: null }, { inputTokens: 0, outputTokens: 0 }],
  [{ cost: 'much' as never }, { inputTokens: 0, outputTokens: 0 }],
  [
    { prompt_tokens: 1, estimated_cost: 0.001 },
    { inputTokens: 1, outputTokens: 0 },
  ],
  [{ seconds: 9 }, { inputTokens: 0, outputTokens: 0, seconds: 9 }],
  [null, undefined],
])('%j is %j', (counted, usage) => {
  expect(parseUsage(counted)).toEqual(usage);
});
