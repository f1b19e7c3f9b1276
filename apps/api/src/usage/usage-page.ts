/** Sums as buckets of time: which a page has, and what stands in each. */
import type { UsageBucket, UsageCost, UsagePage, UsageQueryParams, UsageResult } from '@millrace/contracts';
import type { UsageQuery, UsageRow, UsageSums } from '#database';
import { toUsd } from './to-usd.ts';

const widths = { '1h': 3_600, '1d': 86_400 } as const;

/** Whole buckets, by UTC: from, until before; in Unix seconds. */
export interface Span {
  readonly from: number;
  readonly until: number;
  readonly width: number;
  /** Where the next page begins; null: this is the last. */
  readonly next: number | null;
}

/** @param now Unix seconds: the bucket of the present is the last. */
export function getSpan(query: UsageQueryParams, now: number): Span {
  const width = widths[query.bucket_width];
  const begun = (time: number) => Math.floor(time / width) * width;
  const from = begun(query.page === undefined ? query.start_time : Number(query.page.slice('page_'.length)));
  const end = begun(Math.min(query.end_time ?? Infinity, now + 1) - 1) + width;
  const until = Math.max(from, Math.min(end, from + query.limit * width));
  return { from, until, width, next: until < end ? until : null };
}

export function buildUsageQuery(query: UsageQueryParams, { from, until, width }: Span): UsageQuery {
  const { group_by: by = [], models, providers, kinds, api_key_ids: apiKeyIds, batch } = query;
  const unit = width === widths['1h'] ? 'hour' : 'day';
  return { from, until, unit, groupBy: [...new Set(by)], models, providers, kinds, apiKeyIds, batch };
}

export function toUsagePage(rows: readonly UsageRow[], { from, until, width, next }: Span): UsagePage {
  const byStart = Map.groupBy(rows, ({ start }) => start);
  const data: UsageBucket[] = [];
  for (let start = from; start < until; start += width) {
    const results = (byStart.get(start) ?? []).map(toResult);
    data.push({ object: 'bucket', start_time: start, end_time: start + width, results });
  }
  return { object: 'page', data, has_more: next !== null, next_page: next === null ? null : `page_${next}` };
}

function toResult(row: UsageRow): UsageResult {
  return {
    object: 'usage.result',
    input_tokens: row.inputTokens,
    output_tokens: row.outputTokens,
    num_model_requests: row.requests,
    project_id: null,
    user_id: null,
    api_key_id: row.apiKeyId || null,
    model: row.model ?? null,
    batch: row.isBatch ?? null,
    millrace: {
      provider: row.provider ?? null,
      kind: row.kind || null,
      token: row.token || null,
      attempts: row.attempts,
      failed_requests: row.failedRequests,
      errors: row.errors,
      images: row.images,
      media_seconds: row.mediaMs / 1_000,
      input_bytes: row.inputBytes,
      output_bytes: row.outputBytes,
      cost: toCost(row),
      queue_ms: row.queueMs,
      upstream_ms: row.upstreamMs,
      store_ms: row.storeMs,
      first_token_ms: row.firstTokenCount > 0 ? Math.round(row.firstTokenMs / row.firstTokenCount) : null,
    },
  };
}

/** A cost that is known of no request is not 0. */
export function toCost(sums: Pick<UsageSums, CostSums>): UsageCost {
  const { reportedCost, reportedRequests, estimatedCost, estimatedRequests } = sums;
  return {
    reported_usd: reportedRequests > 0 ? toUsd(reportedCost) : null,
    reported_requests: reportedRequests,
    estimated_usd: estimatedRequests > 0 ? toUsd(estimatedCost) : null,
    estimated_requests: estimatedRequests,
  };
}

type CostSums = 'reportedCost' | 'reportedRequests' | 'estimatedCost' | 'estimatedRequests';
