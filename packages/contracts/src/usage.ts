/** Usage in time buckets, in the shape of OpenAI's usage API, with Millrace's own fields under `millrace`. */
import { z } from 'zod';
import { optional, queryInteger, storedText, timestamp, withDefault } from './fields.ts';
import { listSchema } from './pages.ts';

const splitList = (value: unknown) => (typeof value === 'string' ? value.split(',') : [value]);

/** A list in a query string: `a,b`, repeated, or with brackets. */
const listParameter = <T extends z.ZodType>(item: T) =>
  z
    .preprocess(
      (value) => (value == null ? undefined : [value].flat().flatMap(splitList)),
      z.array(item).min(1).max(100).optional(),
    )
    .optional();

const querySeconds = queryInteger(0, 2 ** 40);

export const usageGroups = ['model', 'provider', 'kind', 'api_key_id', 'batch', 'token'] as const;
const group = z.preprocess((name) => (name === 'api_key' ? 'api_key_id' : name), z.enum(usageGroups));

/** Buckets per page by bucket width, as OpenAI has them. */
const buckets = { '1h': { default: 24, max: 168 }, '1d': { default: 7, max: 31 } } as const;

const name = storedText(1, 256);

const query = z
  .object({
    start_time: querySeconds,
    end_time: optional(querySeconds),
    bucket_width: withDefault(z.enum(['1h', '1d']), '1d'),
    group_by: listParameter(group),
    models: listParameter(name),
    providers: listParameter(name),
    kinds: listParameter(name),
    api_key_ids: listParameter(name),
    batch: optional(z.stringbool('it must be true or false')),
    limit: optional(queryInteger(1, 168)),
    /** `next_page` of the previous page. */
    page: optional(z.string().regex(/^page_\d{1,12}$/, 'it must be the next_page of the previous page')),
  })
  .refine(({ limit = 1, bucket_width: width }) => limit <= buckets[width].max, {
    path: ['limit'],
    error: 'it must be at most 168 for hours, or 31 for days',
  })
  .refine(({ start_time: from, end_time: until = Infinity }) => until > from, {
    path: ['end_time'],
    error: 'it must be after start_time',
  });

/** The stock clients write a list as `group_by[]`. */
export const usageQuery = z
  .preprocess(
    (input) =>
      Object.fromEntries(
        Object.entries(input ?? {}).map(([key, value]) => [key.replace(/\[\d*\]$/, ''), value as unknown]),
      ),
    query,
  )
  .transform(({ limit, ...rest }) => ({ ...rest, limit: limit ?? buckets[rest.bucket_width].default }));
export type UsageQueryParams = z.output<typeof usageQuery>;

const count = z.int().nonnegative();
const milliseconds = z.number().nonnegative();

/** Costs in US dollars; null if no request has a known cost. */
export const usageCost = z.object({
  /** Sum of the costs that providers reported, and the number of requests with one. */
  reported_usd: z.number().nullable(),
  reported_requests: count,
  /** Sum of the costs by the price table, also of requests with a reported cost. */
  estimated_usd: z.number().nullable(),
  estimated_requests: count,
});
export type UsageCost = z.output<typeof usageCost>;

/** Fields that the query does not group by are null. */
export const usageResult = z.object({
  object: z.literal('usage.result'),
  input_tokens: count,
  output_tokens: count,
  /** Requests and batch lines that have a response, successful or not. */
  num_model_requests: count,
  project_id: z.null(),
  user_id: z.null(),
  api_key_id: z.string().nullable(),
  model: z.string().nullable(),
  batch: z.boolean().nullable(),
  millrace: z.object({
    provider: z.string().nullable(),
    kind: z.string().nullable(),
    /** Fingerprint of the provider token. */
    token: z.string().nullable(),
    /** Attempts of tasks and chunks. */
    attempts: count,
    failed_requests: count,
    /** Number of errors by code. */
    errors: z.record(z.string(), count).readonly(),
    images: count,
    media_seconds: z.number().nonnegative(),
    input_bytes: count,
    output_bytes: count,
    cost: usageCost,
    /** Sums over attempts. */
    queue_ms: milliseconds,
    upstream_ms: milliseconds,
    store_ms: milliseconds,
    /** Mean over the attempts that streamed. */
    first_token_ms: milliseconds.nullable(),
  }),
});
export type UsageResult = z.output<typeof usageResult>;

/** From `start_time` (inclusive) to `end_time` (exclusive). `results` is empty if no attempt ended in it. */
export const usageBucket = z.object({
  object: z.literal('bucket'),
  start_time: timestamp,
  end_time: timestamp,
  results: z.array(usageResult),
});
export type UsageBucket = z.output<typeof usageBucket>;

export const usagePage = z.object({
  object: z.literal('page'),
  data: z.array(usageBucket),
  has_more: z.boolean(),
  next_page: z.string().nullable(),
});
export type UsagePage = z.output<typeof usagePage>;

/** The cost of one provider token in the current month (UTC), and what remains of its free credit. */
export const creditObject = z.object({
  object: z.literal('credit'),
  provider: z.string(),
  /** Fingerprint of the provider token. */
  token: z.string(),
  /** Whether the token is in use now. */
  active: z.boolean(),
  /** Start of the month. */
  period_start: timestamp,
  requests: count,
  cost: usageCost,
  /** From the setting `FREE_CREDIT_USD`. */
  free_credit_usd: z.number().nullable(),
  /** By reported costs; null unless every request has one. Negative once more than the credit is used. */
  remaining_usd: z.number().nullable(),
  /** By the price table; null unless it has a price for every request. */
  estimated_remaining_usd: z.number().nullable(),
});
export type CreditObject = z.output<typeof creditObject>;

export const creditList = listSchema(creditObject);
export type CreditList = z.output<typeof creditList>;
