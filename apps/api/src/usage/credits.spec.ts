import type { TokenUsage } from '#database';
import { buildCredits, getStartOfMonth } from './credits.ts';

const since = getStartOfMonth(new Date('2026-11-21T16:00:00Z'));
const sums = {
  ...{
    attempts: 0,
    requests: 0,
    failedRequests: 0,
    inputTokens: 0,
    outputTokens: 0,
    inputBytes: 0,
    outputBytes: 0,
  },
  ...{ images: 0, mediaMs: 0, reportedCost: 0, reportedRequests: 0, estimatedCost: 0, estimatedRequests: 0 },
  ...{ queueMs: 0, upstreamMs: 0, storeMs: 0, firstTokenMs: 0, firstTokenCount: 0, errors: {} },
};
const used = (over: Partial<TokenUsage>): TokenUsage => ({ ...sums, provider: 'hf', token: 'aaa', ...over });
const providers = [{ id: 'hf', token: 'aaa' }, { id: 'sandbox' }];
const free = new Map([['hf', 0.1]]);

test('a month begins at midnight UTC of its first day', () => {
  expect(since.toISOString()).toBe('2026-11-01T00:00:00.000Z');
});

test('a token that was not used has its whole credit', () => {
  expect(buildCredits([], providers, free, since)).toEqual([
    {
      object: 'credit',
      ...{ provider: 'hf', token: 'aaa', active: true, period_start: since.getTime() / 1_000, requests: 0 },
      cost: { reported_usd: null, reported_requests: 0, estimated_usd: null, estimated_requests: 0 },
      ...{ free_credit_usd: 0.1, remaining_usd: 0.1, estimated_remaining_usd: 0.1 },
    },
  ]);
});

test('the remaining credit uses reported costs if all calls have one, and else estimates if all calls have a price', () => {
  const [all] = buildCredits(
    [used({ requests: 3, failedRequests: 1, reportedCost: 25e6, reportedRequests: 2 })],
    ...([providers, free, since] as const),
  );
  // The failed request cost nothing.
  expect(all).toMatchObject({ remaining_usd: 0.075, estimated_remaining_usd: null });
  const [some] = buildCredits(
    [
      used({
        requests: 3,
        reportedCost: 25e6,
        reportedRequests: 2,
        estimatedCost: 300e6,
        estimatedRequests: 3,
      }),
    ],
    ...([providers, free, since] as const),
  );
  expect(some).toMatchObject({ remaining_usd: null, estimated_remaining_usd: -0.2 });
});

test('a replaced token is listed beside the current one; without a setting no token has free credit', () => {
  const credits = buildCredits([used({ token: 'old', requests: 1 })], providers, new Map(), since);
  expect(credits.map(({ token, active, remaining_usd: left }) => [token, active, left])).toEqual([
    ['aaa', true, null],
    ['old', false, null],
  ]);
});
