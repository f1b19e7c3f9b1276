/** What was used, in buckets of time: in the shape of OpenAI's usage API, with Millrace's own fields under one key. */
import { z } from 'zod';

const partsOf = (value: unknown) => (typeof value === 'string' ? value.split(',') : [value]);

/** Lists in the query: `a,b`, repeated, or with brackets. */
const list = <T extends z.ZodType>(item: T) =>
  z
    .preprocess(
      (value) => (value === undefined ? undefined : [value].flat().flatMap(partsOf)),
      z.array(item).min(1).max(100),
    )
    .optional();

const second = z.coerce
  .number()
  .int()
  .min(0)
  .max(2 ** 40);

export const usageGroups = ['model', 'provider', 'kind', 'api_key_id', 'batch', 'token'] as const;
const group = z.preprocess((name) => (name === 'api_key' ? 'api_key_id' : name), z.enum(usageGroups));

/** Buckets of a page: as OpenAI's, by their width. */
const buckets = { '1h': { default: 24, max: 168 }, '1d': { default: 7, max: 31 } } as const;

const name = z.string().min(1).max(256);

const query = z
  .object({
    start_time: second,
    end_time: second.optional(),
    bucket_width: z.enum(['1h', '1d']).default('1d'),
    group_by: list(group),
    models: list(name),
    providers: list(name),
    kinds: list(name),
    api_key_ids: list(name),
    batch: z.stringbool('true or false').optional(),
    limit: z.coerce.number().int().min(1).optional(),
    /** `next_page` of the page before. */
    page: z
      .string()
      .regex(/^page_\d{1,12}$/, 'page is the next_page of the page before')
      .optional(),
  })
  .refine(({ limit = 1, bucket_width: width }) => limit <= buckets[width].max, {
    path: ['limit'],
    error: 'a page has 168 hours or 31 days at most',
  })
  .refine(({ start_time: from, end_time: until }) => until === undefined || until > from, {
    path: ['end_time'],
    error: 'it is not after start_time',
  });

/** `group_by[]` is how the stock clients write a list. */
export const usageQuery = z
  .preprocess(
    (given) =>
      Object.fromEntries(
        Object.entries(given as object).map(([key, value]) => [
          key.replace(/\[\d*\]$/, ''),
          value as unknown,
        ]),
      ),
    query,
  )
  .transform(({ limit, ...rest }) => ({ ...rest, limit: limit ?? buckets[rest.bucket_width].default }));
export type UsageQueryParams = z.output<typeof usageQuery>;

/** What of money is known; each null where it is known of no request. */
export interface UsageCost {
  /** US dollars as the providers have said, for so many requests. */
  reported_usd: number | null;
  reported_requests: number;
  /** US dollars by the table of prices, for so many requests, whether or not the provider says anything too. */
  estimated_usd: number | null;
  estimated_requests: number;
}

/** What is not grouped by is null. */
export interface UsageResult {
  object: 'usage.result';
  input_tokens: number;
  output_tokens: number;
  /** Requests and lines that were answered, well or not. */
  num_model_requests: number;
  project_id: null;
  user_id: null;
  api_key_id: string | null;
  model: string | null;
  batch: boolean | null;
  millrace: {
    provider: string | null;
    kind: string | null;
    /** Tells a provider's token from its others. */
    token: string | null;
    /** Tries at tasks and chunks. */
    attempts: number;
    failed_requests: number;
    /** How often each error was met. */
    errors: Readonly<Record<string, number>>;
    images: number;
    media_seconds: number;
    input_bytes: number;
    output_bytes: number;
    cost: UsageCost;
    /** Sums, of tries. */
    queue_ms: number;
    upstream_ms: number;
    store_ms: number;
    /** The mean, of the tries that streamed. */
    first_token_ms: number | null;
  };
}

/** From `start_time` until before `end_time`, in Unix seconds; empty where nothing ended in it. */
export interface UsageBucket {
  object: 'bucket';
  start_time: number;
  end_time: number;
  results: UsageResult[];
}

export interface UsagePage {
  object: 'page';
  data: UsageBucket[];
  has_more: boolean;
  next_page: string | null;
}

/** What a provider's token has cost this month (UTC), and what of its free credit is left. */
export interface CreditObject {
  object: 'credit';
  provider: string;
  token: string;
  /** Whether it is the one in use. */
  active: boolean;
  /** When the month began, in Unix seconds. */
  since: number;
  requests: number;
  cost: UsageCost;
  /** As the settings have it. */
  free_usd: number | null;
  /** By what was reported; null unless each request's cost was. Less than 0: beyond the credit. */
  left_usd: number | null;
  /** By the table of prices; null unless each request has one. */
  estimated_left_usd: number | null;
}
