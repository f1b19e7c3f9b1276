/** Redelivery of past events to a webhook endpoint. */
import { matchesEvent, matchesType } from './match-event.sql.ts';

/** The `set` of a redelivery: the retry schedule starts again, the attempt count continues. */
export const redelivery = `status = 'pending', schedule_step = 0, next_attempt_at = clock_timestamp(), finished_at = null,
  error_code = null, leased_by = null, leased_until = null`;

/**
 * Creates deliveries for past events, or redelivers existing ones with one of the statuses `$7`. `$1` workspace, `$2`
 * endpoint, `$3` feed position to start after, `$4`/`$5` since and until in Unix seconds, `$6` event types (null: those of
 * the endpoint), `$8` page size. Returns one row: the number of deliveries, the number of events read, and the last one.
 */
export const replayEvents = `
  with range as materialized (
    select v.id, v.workspace_id, v.subject, v.type, v.feed_position
    from events v
    where v.workspace_id = $1 and v.feed_position > $3
      and ($4::float8 is null or v.created_at >= to_timestamp($4))
      and ($5::float8 is null or v.created_at < to_timestamp($5))
    order by v.feed_position
    limit $8
  ), created as (
    insert into deliveries as d (id, workspace_id, endpoint_id, event_id, subject, feed_position, next_attempt_at)
    select delivery_id(), v.workspace_id, e.id, v.id, v.subject, v.feed_position, clock_timestamp()
    from range v join webhook_endpoints e on e.id = $2 and (e.subject is null or e.subject = v.subject)
    where ${matchesEvent('e', 'v')} and ($6::text[] is null or ${matchesType('$6::text[]', 'v.type')})
    on conflict (endpoint_id, event_id) do update set ${redelivery} where d.status = any($7::text[])
    returning 1
  )
  select (select count(*) from created) as count, (select count(*) from range) as seen,
    (select id from range order by feed_position desc limit 1) as last`;
