/**
 * Usage of attempts: a trigger writes an entry when an attempt ends (`usage_entries`), and a background job moves entries
 * into hourly sums (`usage_hours`).
 *
 * In every snapshot an entry is in exactly one of the two tables. Moving is one statement: a process that crashes in it
 * has moved nothing, and two at once (`skip locked`) move each entry once. Reading is one statement too, so the result
 * is never late and counts nothing twice. Sums are written in the order of their keys, so that two roll-ups cannot
 * deadlock.
 */

/** The dimensions of usage. */
const keys = ['workspace_id', 'hour', 'model', 'provider', 'kind', 'api_key_id', 'is_batch', 'token'];

const measures = [
  ...[
    'attempts',
    'requests',
    'failed_requests',
    'input_tokens',
    'output_tokens',
    'input_bytes',
    'output_bytes',
  ],
  ...['images', 'media_ms', 'reported_cost', 'reported_requests', 'estimated_cost', 'estimated_requests'],
  ...['queue_ms', 'upstream_ms', 'store_ms', 'first_token_ms', 'first_token_count'],
];
const columns = [...keys, ...measures, 'errors'].join(', ');
const list = (names: readonly string[], each: (name: string) => string) => names.map(each).join(', ');

/** `$1` maximum number of entries. Returns one row: how many were moved. */
export const rollUpUsage = `
  with page as materialized (
    select attempt_id from usage_entries order by attempt_id limit $1 for update skip locked
  ), moved as (
    delete from usage_entries e using page p where e.attempt_id = p.attempt_id returning e.*
  ), summed as (
    select ${keys.join(', ')}, ${list(measures, (name) => `sum(${name}) as ${name}`)}, sum_counts(errors) as errors
    from moved group by ${keys.join(', ')} order by ${keys.join(', ')}
  ), rolled_up as (
    insert into usage_hours as total (${columns}) select ${columns} from summed
    on conflict (${keys.join(', ')}) do update
    set ${list(measures, (name) => `${name} = total.${name} + excluded.${name}`)},
      errors = add_counts(total.errors, excluded.errors)
  )
  select count(*) as n from moved`;

/** Both tables as one. @param where applied to each table, so that neither is read whole. */
const usage = (where: string) => `(
    select ${columns} from usage_hours where ${where}
    union all
    select ${columns} from usage_entries where ${where}
  ) used`;

/** The sums of a bucket. For a mean, its sum and its count are returned. */
const summed = `${list(measures, (name) => `sum(${name})::bigint as ${name}`)}, sum_counts(errors) as errors`;

/** What usage can be grouped by, and the column of each. */
export const usageGroupColumns = {
  model: 'model',
  provider: 'provider',
  kind: 'kind',
  api_key_id: 'api_key_id',
  batch: 'is_batch',
  token: 'token',
} as const;
export type UsageGroup = keyof typeof usageGroupColumns;

/**
 * `$1` workspace, `$2` from, `$3` until, `$4` hour or day, `$5` models, `$6` providers, `$7` kinds, `$8` keys, `$9` true for
 * batches only, false for no batches; null matches all. Returns a row for each bucket and group that has usage.
 */
export function buildUsageQuery(groupBy: readonly UsageGroup[]): string {
  const named = groupBy.map((group) => usageGroupColumns[group]);
  return `
  select extract(epoch from date_trunc($4, hour, 'UTC'))::bigint as start, ${[...named, summed].join(', ')}
  from ${usage(`workspace_id = $1 and hour >= $2 and hour < $3
      and ($5::text[] is null or model = any($5)) and ($6::text[] is null or provider = any($6))
      and ($7::text[] is null or kind = any($7)) and ($8::text[] is null or api_key_id = any($8))
      and ($9::boolean is null or is_batch = $9)`)}
  group by ${['start', ...named].join(', ')}
  order by ${['start', ...named].join(', ')}`;
}

/** Usage of each provider token since `$1`, by all workspaces. */
export const listTokenUsage = `
  select provider, token, ${summed}
  from ${usage(`hour >= $1 and token <> ''`)}
  group by provider, token
  order by provider, token`;
