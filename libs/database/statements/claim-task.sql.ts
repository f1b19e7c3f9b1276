import { prepareStatement } from '../prepared-statement.ts';

/**
 * A worker claims a task. This compare-and-set makes every later statement of an older attempt match nothing. A running
 * task may be claimed again by the same generation, as a chunk may (claim-chunk.sql.ts).
 *
 * The commit does not wait for the disk. If the server crashes, the claim may be undone: the task is then queued again,
 * and the reconciler requeues it. Two attempts may then have the same number; the worker's id tells them apart, so every
 * later statement names both.
 *
 * A task that is past its deadline or start_by is not claimed: the reconciler expires it.
 *
 * When an attempt is lost while its run continues upstream, its provider time ends at its worker's last heartbeat. The
 * attempt that follows the run to its end counts only its own time.
 *
 * $1 task, $2 generation, $3 worker, $4 event.
 */
export const claimTask = prepareStatement(
  'claim-task',
  `
  with claimed as (
    update tasks t
    set status = 'running', attempt = t.attempt + 1, worker_id = $3, started_at = clock_timestamp(),
      run_started_at = coalesce(t.run_started_at, clock_timestamp()),
      estimate_ms = coalesce(t.estimate_ms, (
        select percentile_cont(0.5) within group (order by ms)::int from (
          select provider_ms / a.work * t.work as ms from attempts a
          where a.model = t.model and a.outcome = 'succeeded' and a.task_id is not null
          order by a.id desc limit 20) recent)),
      sequence = t.sequence + case t.attempt when 0 then 1 else 0 end
    where t.id = $1 and t.generation = $2 and t.status in ('queued', 'running')
      and (t.deadline is null or t.deadline > clock_timestamp())
      and (t.start_by is null or t.attempt > 0 or t.start_by > clock_timestamp())
      and set_config('synchronous_commit', 'off', true) = 'off'
    returning t.*
  ), lost as (
    update attempts a
    set outcome = 'lost', finished_at = clock_timestamp(),
      provider_ms = (
        select extract(epoch from w.seen_at - a.started_at)::float8 * 1000 from workers w
        where w.id = a.worker_id and w.seen_at > a.started_at and c.upstream_run_id is not null)
    from claimed c
    where c.attempt > 1 and a.task_id = $1 and a.number < c.attempt and a.outcome is null
    returning 1
  ), started as (
    insert into attempts (workspace_id, task_id, number, worker_id, provider, model, kind, api_key_id, work, input_bytes,
      queue_ms)
    select workspace_id, id, attempt, $3, provider, model, kind, api_key_id, work, octet_length(input::text),
      greatest(0, extract(epoch from clock_timestamp() - queued_at)::float8 * 1000)
    from claimed
  ), event as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select $4, workspace_id, id, sequence, 'task.started', json_build_object('id', id, 'kind', kind, 'model', model)
    from claimed where attempt = 1
  )
  select id as "taskId", workspace_id as "workspaceId", kind, model, pool, attempt, worker_id as "workerId", input,
    input_key as "inputKey", upstream_run_id as "upstreamRunId", timeout_ms as "timeoutMs", patience_ms as "patienceMs",
    priority, deadline, provider, extract(epoch from clock_timestamp() - created_at)::float8 * 1000 as "ageMs",
    fallback_models as "fallbackModels",
    case attempt when 1 then 0 else (select count(*) from lost) + (
      select count(*) from attempts a where a.task_id = $1 and a.outcome = 'lost') end as "lostAttempts",
    case attempt when 1 then 0 else (
      select count(*) from attempts a where a.task_id = $1 and a.outcome = 'failed') end as "failedAttempts",
    attempt > 1 and exists (
      select from attempts a where a.task_id = $1 and a.error_code = 'result_not_stored') as "wasAnswered"
  from claimed`,
);
