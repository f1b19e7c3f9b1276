/**
 * Records webhook attempts, many at once. Every attempt is logged. A delivery's state changes only for the process that
 * holds its lease, except that a success always ends it. $1 the attempts as JSON, $2 the holder.
 */
export const recordAttempts = `
  with attempted as materialized (
    select * from jsonb_to_recordset($1::jsonb) as t (
      "deliveryId" text, "startedAt" timestamptz, "durationMs" int, url text, "requestHeaders" jsonb, status int,
      "responseHeaders" jsonb, "responseBody" text, "responseTruncated" boolean, "errorCode" text, "errorMessage" text,
      outcome text, "nextAttemptAt" timestamptz)
  ),
  held as materialized (
    select d.id, d.attempt_count, d.workspace_id,
      d.status = 'pending' and (d.leased_by = $2 or t.outcome = 'succeeded') as changes
    from deliveries d join attempted t on t."deliveryId" = d.id
    order by d.id
    for update of d
  ),
  logged as (
    insert into delivery_attempts (delivery_id, number, workspace_id, started_at, duration_ms, url, request_headers,
      status, response_headers, response_body, response_truncated, error_code, error_message, next_attempt_at)
    select h.id, h.attempt_count + 1, h.workspace_id, t."startedAt", t."durationMs", t.url, t."requestHeaders", t.status,
      t."responseHeaders", t."responseBody", t."responseTruncated", t."errorCode", t."errorMessage",
      case when h.changes then t."nextAttemptAt" end
    from held h join attempted t on t."deliveryId" = h.id
  )
  update deliveries d
  set attempt_count = d.attempt_count + 1,
    schedule_step = d.schedule_step + 1,
    status = case when h.changes then t.outcome else d.status end,
    next_attempt_at = case when h.changes then t."nextAttemptAt" else d.next_attempt_at end,
    finished_at = case when h.changes and t.outcome <> 'pending' then t."startedAt" + make_interval(secs => t."durationMs" / 1000.0)
      else d.finished_at end,
    leased_by = case when h.changes then null else d.leased_by end,
    leased_until = case when h.changes then null else d.leased_until end
  from held h join attempted t on t."deliveryId" = h.id
  where d.id = h.id`;

/**
 * Updates the endpoints' failure counts and breakers after attempts. $1 endpoints, $2 whether one of the attempts
 * succeeded, $3 number of failed attempts, $4 the time (null: the server's), $5 consecutive failures that open the
 * breaker, $6 longest time that it stays open, in seconds, $7 seconds without a failure after which `failing_since`
 * starts again, $8 seconds of pause that the receiver asked for.
 * Returns a row for each endpoint that failed, with the time since which it fails.
 */
export const recordHealth = `
  with clock as materialized (
    select coalesce($4::timestamptz, clock_timestamp()) as now
  ),
  health as (
    select * from unnest($1::text[], $2::boolean[], $3::int[], $8::float8[]) as h (id, succeeded, failed, pause)
  ),
  recovered as (
    update webhook_endpoints e
    set consecutive_failures = 0, failing_since = null, last_failed_at = null, paused_until = null
    from health h
    where e.id = h.id and h.succeeded and (e.consecutive_failures > 0 or e.failing_since is not null)
  )
  update webhook_endpoints e
  set consecutive_failures = e.consecutive_failures + h.failed,
    failing_since = case when e.failing_since is null or e.last_failed_at < clock.now - make_interval(secs => $7::float8)
      then clock.now else e.failing_since end,
    last_failed_at = clock.now,
    paused_until = greatest(e.paused_until, clock.now + make_interval(secs => greatest(h.pause,
      case when e.consecutive_failures + h.failed >= $5::int
        then least($6::float8, power(2, least(20, e.consecutive_failures + h.failed - $5::int))) * (0.5 + random() / 2) else 0 end)))
  from health h, clock
  where e.id = h.id and not h.succeeded
  returning e.id, e.failing_since as "failingSince"`;
