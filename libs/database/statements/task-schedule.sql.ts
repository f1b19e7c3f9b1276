/** Time-driven changes of tasks, and what is known of a task while it waits or runs. */
import { laneOf } from './lane.sql.ts';
import { endEvents, insertVideoEvent } from './video-event.sql.ts';
import { prepareStatement } from '../prepared-statement.ts';

/** Queues scheduled tasks whose time has come. `$1` page size. */
export const queueDueTasks = `
  with due as (
    select id from tasks where status = 'scheduled' and run_at <= clock_timestamp()
    order by run_at limit $1 for update skip locked
  ), queued as (
    update tasks t
    set status = 'queued', queued_at = clock_timestamp(), sequence = sequence + 1
    from due where t.id = due.id and t.status = 'scheduled'
    returning t.id, t.workspace_id, t.sequence, t.kind, t.model, t.generation, ${laneOf('t')} as lane, t.priority
  ), event as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select 'evt_' || replace(gen_random_uuid()::text, '-', ''), workspace_id, id, sequence, 'task.queued',
      json_build_object('id', id, 'kind', kind, 'model', model)
    from queued
  )
  select id as "taskId", generation, lane, priority, workspace_id as "workspaceId", kind, model from queued`;

/** Expires tasks that did not start by `start_by`, or did not end by their deadline. `$1` page size. */
export const expireTasks = `
  with late as (
    select id from tasks
    where (start_by <= clock_timestamp() and start_by is not null and status in ('scheduled', 'queued') and attempt = 0)
      or (deadline <= clock_timestamp() and deadline is not null and status in ('scheduled', 'queued', 'running'))
    limit $1 for update skip locked
  ), ended as (
    update tasks t
    set status = 'expired', finished_at = clock_timestamp(), sequence = sequence + ${endEvents},
      error = json_build_object('message',
        case when t.deadline <= clock_timestamp() then 'This task did not end before its deadline.'
          else 'This task did not start within its start_timeout.' end,
        'type', 'invalid_request_error', 'param', null,
        'code', case when t.deadline <= clock_timestamp() then 'deadline_passed' else 'start_timeout' end,
        'status', 408)
    from late where t.id = late.id
    returning t.id, t.workspace_id, t.sequence, t.kind, t.model, t.status
  ), attempt as (
    update attempts a set outcome = 'canceled', finished_at = clock_timestamp()
    from ended e where a.task_id = e.id and a.outcome is null
  ), event as (
    insert into events (id, workspace_id, subject, sequence, type, terminal, data)
    select 'evt_' || replace(gen_random_uuid()::text, '-', ''), workspace_id, id, sequence, 'task.expired', true,
      json_build_object('id', id, 'kind', kind, 'model', model)
    from ended
  ), video as (${insertVideoEvent('ended')})
  select id as "taskId" from ended`;

/** Saves the id of the upstream's run before it is polled. `$1` task, `$2` attempt, `$3` worker, `$4` run id. */
export const saveRunId = prepareStatement(
  'save-run-id',
  `
  update tasks set upstream_run_id = $4
  where id = $1 and attempt = $2 and worker_id = $3 and status = 'running'
  returning 1`,
);

/** The upstream run of a task that was cancelled or has expired: it may still be running. `$1` task. */
export const findOrphanedRun = `
  select workspace_id as "workspaceId", kind, model, upstream_run_id as "runId" from tasks
  where id = $1 and status in ('canceled', 'expired') and upstream_run_id is not null`;

/**
 * A queued task's position, the number of running tasks of its lane, and the typical duration of one task of its model.
 * `$1` task. The position is counted up to 1,000.
 */
export const findQueuePosition = `
  select
    (select count(*)::int from (
      select from tasks q where q.status = 'queued' and q.pool = t.pool and q.provider = t.provider
        and (q.priority > t.priority or (q.priority = t.priority and q.id < t.id)) limit 1000) before) as position,
    (select count(*)::int from tasks r where r.status = 'running' and r.pool = t.pool
      and r.provider = t.provider) as running,
    (select coalesce(percentile_cont(0.5) within group (order by ms), 0)::int from (
      select provider_ms / work * t.work as ms from attempts a
      where a.model = t.model and a.outcome = 'succeeded' and a.task_id is not null
      order by a.id desc limit 20) recent) as "typicalMs"
  from tasks t where t.id = $1 and t.status = 'queued'`;
