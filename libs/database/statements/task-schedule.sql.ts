/** What moves tasks besides their workers' ends: time, and what is known of them meanwhile. */
import { prepareStatement } from '../prepared-statement.ts';

/** Scheduled tasks whose time has come. `$1` page size. */
export const queueDueTasks = `
  with due as (
    select id from tasks where status = 'scheduled' and run_at <= clock_timestamp()
    order by run_at limit $1 for update skip locked
  ), queued as (
    update tasks t
    set status = 'queued', queued_at = clock_timestamp(), sequence = sequence + 1
    from due where t.id = due.id and t.status = 'scheduled'
    returning t.id, t.workspace_id, t.sequence, t.kind, t.model, t.delivery, t.pool, t.priority
  ), told as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select 'evt_' || replace(gen_random_uuid()::text, '-', ''), workspace_id, id, sequence, 'task.queued',
      json_build_object('id', id, 'kind', kind, 'model', model)
    from queued
  )
  select id as "taskId", delivery, pool, priority from queued`;

/** Tasks that have not begun in time, or not ended. `$1` page size. */
export const expireTasks = `
  with late as (
    select id from tasks
    where (start_by <= clock_timestamp() and start_by is not null and status in ('scheduled', 'queued') and attempt = 0)
      or (deadline <= clock_timestamp() and deadline is not null and status in ('scheduled', 'queued', 'running'))
    limit $1 for update skip locked
  ), ended as (
    update tasks t
    set status = 'expired', finished_at = clock_timestamp(), sequence = sequence + 1,
      error = json_build_object('message',
        case when t.deadline <= clock_timestamp() then 'This task did not end before its deadline.'
          else 'This task did not begin within its start_timeout.' end,
        'type', 'invalid_request_error', 'param', null,
        'code', case when t.deadline <= clock_timestamp() then 'deadline_passed' else 'start_timeout' end,
        'status', 408)
    from late where t.id = late.id
    returning t.id, t.workspace_id, t.sequence, t.kind, t.model
  ), attempt as (
    update attempts a set outcome = 'canceled', finished_at = clock_timestamp()
    from ended e where a.task_id = e.id and a.outcome is null
  ), told as (
    insert into events (id, workspace_id, subject, sequence, type, terminal, data)
    select 'evt_' || replace(gen_random_uuid()::text, '-', ''), workspace_id, id, sequence, 'task.expired', true,
      json_build_object('id', id, 'kind', kind, 'model', model)
    from ended
  )
  select id as "taskId" from ended`;

/** The upstream's run, durable before it is polled. `$1` task, `$2` attempt, `$3` worker, `$4` run. */
export const saveRunId = prepareStatement(
  'remember-run',
  `
  update tasks set upstream_run_id = $4
  where id = $1 and attempt = $2 and worker_id = $3 and status = 'running'
  returning 1`,
);

/** What a task that has ended without its worker had begun upstream. `$1` task. */
export const findOrphanedRun = `
  select kind, model, upstream_run_id as run from tasks
  where id = $1 and status in ('canceled', 'expired') and upstream_run_id is not null`;

/**
 * Who stands before a queued task, and how soon a worker should be free. `$1` task. What waits is counted up to
 * 1,000: a place beyond that is "far".
 */
export const findQueuePosition = `
  select
    (select count(*)::int from (
      select from tasks q where q.status = 'queued' and q.pool = t.pool
        and (q.priority > t.priority or (q.priority = t.priority and q.id < t.id)) limit 1000) before) as position,
    (select count(*)::int from tasks r where r.status = 'running' and r.pool = t.pool) as running,
    (select coalesce(percentile_cont(0.5) within group (order by ms), 0)::int from (
      select provider_ms / work * t.work as ms from attempts a
      where a.model = t.model and a.outcome = 'succeeded' and a.task_id is not null
      order by a.id desc limit 20) recent) as "eachMs"
  from tasks t where t.id = $1 and t.status = 'queued'`;
