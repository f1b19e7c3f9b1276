/**
 * Takes deliveries that are due, for one process to send. Any number of processes may ask at once: what one has locked
 * the others step over, and what was leased by a process that died is due again when its lease is over.
 *
 * One slow or dead endpoint takes nothing from the others: endpoints are found by skipping along the index (one probe
 * each, however many deliveries wait), each gives as many as it has room for, and those that fail lately share a
 * smaller number among themselves. An endpoint whose breaker is open gives none; one whose breaker has just been open
 * gives one. Endpoints come in random order, so that none stands behind the same others for ever.
 *
 * $1 holder, $2 the time (null: the server's), $3 seconds of the lease, $4 deliveries in all, $5 for endpoints that fail,
 * $6 room of an endpoint, $7/$8 endpoints of which the caller has some under way, and their room, $9 failures after which
 * an endpoint gives one at a time.
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
      + extract(epoch from clock.now - coalesce(e.rate_at, clock.now - interval '1 s'))::float8 * e.rate_limit) as tokens
    from webhook_endpoints e, clock
    where e.rate_limit is not null and e.id in (select endpoint_id from waiting)
    for update of e skip locked
  ),
  open as materialized (
    select e.id, e.ordered, e.failures > 0 as fails,
      least(coalesce(known.room, $6::int), case when e.failures >= $9::int then 1 else $6::int end,
        case when e.rate_limit is not null then coalesce(floor(rated.tokens), 0) else $6::int end)::int as room
    from waiting w
    join webhook_endpoints e on e.id = w.endpoint_id
    cross join clock
    left join rated on rated.id = e.id
    left join unnest($7::text[], $8::int[]) as known (id, room) on known.id = e.id
    where e.disabled_at is null and (e.paused_until is null or e.paused_until <= clock.now)
    order by random()
  ),
  ${picked('sound', 'not open.fails', '$4::int')},
  ${picked('failing', 'open.fails', 'least($4::int, $5::int)')},
  picked as (
    select * from sound union all select * from failing
  ),
  charged as (
    update webhook_endpoints e
    set rate_tokens = rated.tokens - (select count(*) from picked where picked.endpoint_id = e.id), rate_at = clock.now
    from rated, clock
    where e.id = rated.id
  )
  update deliveries d
  set leased_by = $1, leased_until = clock.now + make_interval(secs => $3::float8)
  from picked, clock, webhook_endpoints e, events f
  where d.id = picked.id and e.id = d.endpoint_id and f.id = d.event_id
  returning d.id, d.workspace_id as "workspaceId", d.endpoint_id as "endpointId", d.tries, d.step, d.position,
    json_build_object('id', f.id, 'type', f.type, 'data', f.data) as event, f.created_at as "eventAt",
    e.url, e.failures, e.ordered is not null as "isOrdered", e.secret_sealed as "secretSealed", e.headers_sealed as "headersSealed",
    case when e.old_secret_until > clock.now then e.old_secret_sealed end as "oldSecretSealed"`;

/** Due deliveries of the open endpoints for which this holds, up to a limit in all. */
function picked(name: string, which: string, limit: string): string {
  return `${name} as materialized (
    select due.id, open.id as endpoint_id
    from open cross join clock cross join lateral (
      select d.id from deliveries d
      where d.endpoint_id = open.id and d.status = 'pending' and d.next_try_at <= clock.now
        and (d.leased_until is null or d.leased_until <= clock.now)
        and (open.ordered is null or not exists (
          select from deliveries e where e.endpoint_id = d.endpoint_id and e.status = 'pending'
            and e.position < d.position and (open.ordered = 'feed' or e.subject = d.subject)))
      order by d.next_try_at, d.position
      limit open.room
      for update of d skip locked
    ) due
    where open.room > 0 and ${which}
    limit ${limit}
  )`;
}
