import { usageQuery } from '@millrace/contracts';
import type { UsageRow } from '#database';
import { buildUsageQuery, getSpan, toUsagePage } from './usage-page.ts';

const hour = 3_600;
const day = 24 * hour;
const now = 1_000 * day + 5 * hour + 7;
const query = (given: object) => usageQuery.parse(given);
const sums = {
  ...{
    attempts: 3,
    requests: 2,
    failedRequests: 1,
    inputTokens: 5,
    outputTokens: 7,
    inputBytes: 11,
    outputBytes: 13,
  },
  ...{
    images: 1,
    mediaMs: 1_500,
    reportedCost: 0,
    reportedRequests: 0,
    estimatedCost: 2_500,
    estimatedRequests: 1,
  },
  ...{
    queueMs: 17,
    upstreamMs: 19,
    storeMs: 23,
    firstTokenMs: 30,
    firstTokenCount: 2,
    errors: { provider_error: 1 },
  },
};

test('the span covers whole buckets, up to the current one', () => {
  expect(getSpan(query({ start_time: now - 2 * day }), now)).toEqual({
    ...{ from: 998 * day, until: 1_001 * day, width: day, next: null },
  });
  expect(getSpan(query({ start_time: now, bucket_width: '1h' }), now)).toEqual({
    ...{ from: now - 7, until: now - 7 + hour, width: hour, next: null },
  });
  const closed = { start_time: 997 * day, end_time: 999 * day };
  expect(getSpan(query(closed), now)).toMatchObject({ from: 997 * day, until: 999 * day });
  expect(getSpan(query({ start_time: now + 3 * day }), now)).toMatchObject({
    from: 1_003 * day,
    until: 1_003 * day,
  });
});

test('pages continue without a gap to the end', () => {
  const seen: number[] = [];
  let page: string | undefined;
  do {
    const span = getSpan(query({ start_time: 990 * day, limit: 4, ...(page && { page }) }), now);
    const { data, has_more: hasMore, next_page: next } = toUsagePage([], span);
    expect(hasMore).toBe(next !== null);
    seen.push(...data.map(({ start_time: start }) => start / day));
    page = next ?? undefined;
  } while (page);
  expect(seen).toEqual([990, 991, 992, 993, 994, 995, 996, 997, 998, 999, 1_000]);
});

test('each bucket has its results, an empty one has none, and fields that are not grouped by are null', () => {
  const span = getSpan(query({ start_time: 999 * day }), now);
  const rows: UsageRow[] = [
    { ...sums, start: 1_000 * day, model: 'a/b', apiKeyId: '' },
    { ...sums, start: 1_000 * day, model: 'a/c', apiKeyId: 'key_1', isBatch: true },
  ];
  const { data } = toUsagePage(rows, span);
  expect(data.map(({ results }) => results.length)).toEqual([0, 2]);
  const [first, second] = data[1]!.results;
  expect(first).toEqual({
    object: 'usage.result',
    ...{ input_tokens: 5, output_tokens: 7, num_model_requests: 2, project_id: null, user_id: null },
    ...{ api_key_id: null, model: 'a/b', batch: null },
    millrace: {
      ...{
        provider: null,
        kind: null,
        token: null,
        attempts: 3,
        failed_requests: 1,
        errors: { provider_error: 1 },
      },
      ...{ images: 1, media_seconds: 1.5, input_bytes: 11, output_bytes: 13 },
      // No provider reported a cost: that is null, not 0.
      cost: { reported_usd: null, reported_requests: 0, estimated_usd: 0.000_002_5, estimated_requests: 1 },
      ...{ queue_ms: 17, upstream_ms: 19, store_ms: 23, first_token_ms: 15 },
    },
  });
  expect(second).toMatchObject({ model: 'a/c', api_key_id: 'key_1', batch: true });
});

test('builds the query of the store', () => {
  const given = query({ start_time: 0, bucket_width: '1h', group_by: 'model,model', models: 'a/b,a/c' });
  expect(buildUsageQuery(given, getSpan(given, now))).toMatchObject({
    ...{ from: 0, until: 24 * hour, unit: 'hour', groupBy: ['model'], models: ['a/b', 'a/c'] },
  });
});
