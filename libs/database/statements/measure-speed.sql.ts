/**
 * Median lines per second of one slot, from the newest hundred completed chunks of a model within a day. The index
 * `attempts_speed` gives them without reading the others. `$1` model.
 */
export const measureSpeed = `
  select percentile_cont(0.5) within group (order by rate) as rate, count(*) as chunks
  from (
    select lines / extract(epoch from finished_at - started_at)::float8 as rate
    from attempts
    where model = $1 and outcome = 'succeeded' and lines > 0 and finished_at > started_at
      and started_at > clock_timestamp() - interval '1 day'
    order by id desc
    limit 100
  ) newest`;
