/**
 * Leases deliveries that are due to one process. Any number of processes may call it at once: each skips the rows that
 * another has locked. Deliveries that a crashed process had leased are due again when the lease expires.
 *
 * A slow or dead endpoint does not delay the others. Endpoints are found by skipping along the index (one probe each,
 * however many deliveries wait), each gives at most its remaining capacity, and endpoints that fail share a smaller
 * limit. An endpoint whose breaker is open gives none; after the breaker closes it gives one at a time until one
 * succeeds. Endpoints come in random order, so that none always waits behind the same others.
 *
 * $1 holder, $2 the time (null: the server's), $3 seconds of the lease, $4 limit of deliveries in total, $5 limit for
 * failing endpoints, $6 capacity of an endpoint, $7/$8 endpoints that the caller already sends to, and their remaining
 * capacity, $9 consecutive failures from which an endpoint gives one at a time.
 */
export const leaseDeliveries = `
  with recursive clock as materialized (
    select coalesce($2::timestamptz, clock_timestamp()) as now
  ),
  waiting as (
    (select endpoint_id from deliveries where status = 'pending' order by endpoint_id limit 1)
    union all
    select (select d.endpoint_id from deliveries d
            where d.status = 'pending' and d.endpoint_id > w.endpoint_id order by d.endpoint_id limit 1)
    from waiting w where w.endpoint_id is not null
  ),
  rated as materialized (
    select e.id, least(e.rate_limit, e.rate_tokens
      + extract(epoch from clock.now - coalesce(e.rate_updated_at, clock.now - interval '1 s'))::float8 * e.rate_limit) as tokens
    from webhook_endpoints e, clock
    where e.rate_limit is not null and e.id in (select endpoint_id from waiting)
    for update of e skip locked
  ),
  open as materialized (
    select e.id, e.ordered, e.consecutive_failures > 0 as is_failing,
      least(coalesce(known.capacity, $6::int), case when e.consecutive_failures >= $9::int then 1 else $6::int end,
        case when e.rate_limit is not null then coalesce(floor(rated.tokens), 0) else $6::int end)::int as capacity
    from waiting w
    join webhook_endpoints e on e.id = w.endpoint_id
    cross join clock
    left join rated on rated.id = e.id
    left join unnest($7::text[], $8::int[]) as known (id, capacity) on known.id = e.id
    where e.disabled_at is null and (e.paused_until is null or e.paused_until <= clock.now)
    order by random()
  ),
  ${pickDue('healthy', 'not open.is_failing', '$4::int')},
  ${pickDue('failing', 'open.is_failing', 'least($4::int, $5::int)')},
  picked as (
    select * from healthy union all select * from failing
  ),
  charged as (
    update webhook_endpoints e
    set rate_tokens = rated.tokens - (select count(*) from picked where picked.endpoint_id = e.id), rate_updated_at = clock.now
    from rated, clock
    where e.id = rated.id
  )
  update deliveries d
  set leased_by = $1, leased_until = clock.now + make_interval(secs => $3::float8)
  from picked, clock, webhook_endpoints e, events v
  where d.id = picked.id and e.id = d.endpoint_id and v.id = d.event_id
  returning d.id, d.workspace_id as "workspaceId", d.endpoint_id as "endpointId", d.attempt_count as "attemptCount",
    d.schedule_step as "scheduleStep", d.feed_position as "feedPosition",
    json_build_object('id', v.id, 'type', v.type, 'data', v.data) as event, v.created_at as "eventAt",
    e.url, e.consecutive_failures as "consecutiveFailures", e.ordered is not null as "isOrdered",
    e.secret_sealed as "secretSealed", e.headers_sealed as "headersSealed",
    case when e.old_secret_until > clock.now then e.old_secret_sealed end as "oldSecretSealed"`;

/** A CTE of due deliveries of the open endpoints for which `condition` holds, up to `limit` in total. */
function pickDue(name: string, condition: string, limit: string): string {
  return `${name} as materialized (
    select due.id, open.id as endpoint_id
    from open cross join clock cross join lateral (
      select d.id from deliveries d
      where d.endpoint_id = open.id and d.status = 'pending' and d.next_attempt_at <= clock.now
        and (d.leased_until is null or d.leased_until <= clock.now)
        and (open.ordered is null or not exists (
          select from deliveries e where e.endpoint_id = d.endpoint_id and e.status = 'pending'
            and e.feed_position < d.feed_position and (open.ordered = 'feed' or e.subject = d.subject)))
      order by d.next_attempt_at, d.feed_position
      limit open.capacity
      for update of d skip locked
    ) due
    where open.capacity > 0 and ${condition}
    limit ${limit}
  )`;
}
