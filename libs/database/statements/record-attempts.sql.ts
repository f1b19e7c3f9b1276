/**
 * What became of tries, many at once. Every try is logged; a delivery moves only for who holds its lease, except that
 * a success ends it whoever had it. $1 the tries as JSON, $2 the holder.
 */
export const recordAttempts = `
  with tried as materialized (
    select * from jsonb_to_recordset($1::jsonb) as t (
      "deliveryId" text, "startedAt" timestamptz, "durationMs" int, url text, "requestHeaders" jsonb, status int,
      "responseHeaders" jsonb, "responseBody" text, "responseCut" boolean, "errorCode" text, "errorMessage" text,
      outcome text, "nextTryAt" timestamptz)
  ),
  held as materialized (
    select d.id, d.tries, d.workspace_id, d.status = 'pending' and (d.leased_by = $2 or t.outcome = 'succeeded') as moves
    from deliveries d join tried t on t."deliveryId" = d.id
    order by d.id
    for update of d
  ),
  logged as (
    insert into delivery_attempts (delivery_id, number, workspace_id, started_at, duration_ms, url, request_headers,
      status, response_headers, response_body, response_cut, error_code, error_message, next_try_at)
    select h.id, h.tries + 1, h.workspace_id, t."startedAt", t."durationMs", t.url, t."requestHeaders", t.status,
      t."responseHeaders", t."responseBody", t."responseCut", t."errorCode", t."errorMessage",
      case when h.moves then t."nextTryAt" end
    from held h join tried t on t."deliveryId" = h.id
  )
  update deliveries d
  set tries = d.tries + 1,
    step = d.step + 1,
    status = case when h.moves then t.outcome else d.status end,
    next_try_at = case when h.moves then t."nextTryAt" else d.next_try_at end,
    finished_at = case when h.moves and t.outcome <> 'pending' then t."startedAt" + make_interval(secs => t."durationMs" / 1000.0)
      else d.finished_at end,
    leased_by = case when h.moves then null else d.leased_by end,
    leased_until = case when h.moves then null else d.leased_until end
  from held h join tried t on t."deliveryId" = h.id
  where d.id = h.id`;

/**
 * How endpoints fared in tries, for their breakers. $1 endpoints, $2 whether the newest try succeeded, $3 tries that
 * failed, $4 the time (null: the server's), $5 failures after which a breaker opens, $6 the longest that it is open, in
 * seconds, $7 seconds without a failure after which failing counts anew, $8 seconds of pause that were asked for.
 * One row for each that failed, with the time since which it has.
 */
export const recordHealth = `
  with clock as materialized (
    select coalesce($4::timestamptz, clock_timestamp()) as now
  ),
  fared as (
    select * from unnest($1::text[], $2::boolean[], $3::int[], $8::float8[]) as f (id, succeeded, failed, pause)
  ),
  recovered as (
    update webhook_endpoints e
    set failures = 0, failing_since = null, failed_at = null, paused_until = null
    from fared f
    where e.id = f.id and f.succeeded and (e.failures > 0 or e.failing_since is not null)
  )
  update webhook_endpoints e
  set failures = e.failures + f.failed,
    failing_since = case when e.failing_since is null or e.failed_at < clock.now - make_interval(secs => $7::float8)
      then clock.now else e.failing_since end,
    failed_at = clock.now,
    paused_until = greatest(e.paused_until, clock.now + make_interval(secs => greatest(f.pause,
      case when e.failures + f.failed >= $5::int
        then least($6::float8, power(2, least(20, e.failures + f.failed - $5::int))) * (0.5 + random() / 2) else 0 end)))
  from fared f, clock
  where e.id = f.id and not f.succeeded
  returning e.id, e.failing_since as "failingSince"`;
