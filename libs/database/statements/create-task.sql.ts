import { prepareStatement, setWorkspaceScope } from '../prepared-statement.ts';

/**
 * A task with its first fact, if the workspace may have one more waiting. The count reads the partial index
 * `tasks_pending` and stops at the bound. Requests that are written at the same moment don't see each other, so the
 * bound may be passed by as many as are in flight; a lock that kept it exactly would hold every commit of a
 * workspace behind the one before it (1,580 instead of 9,548 a second).
 *
 * It is a transaction of its own and says its workspace itself: begin, scope and commit would be three round trips
 * more, which under load each cost a turn of a busy event loop (395 requests a second with them, 2 cores).
 *
 * $1 task, $2 workspace, $3 kind, $4 model, $5 provider, $6 pool, $7 input, $8 input key, $9 metadata, $10 event,
 * $11 tasks that may wait, $12 priority, $13 run at, $14 deadline, $15 start by, $16 ms of one call, $17 fallback models,
 * $18 work, $19 the task that it tries again, $20 API key. No row: too many wait.
 */
export const createTask = prepareStatement(
  'create-task',
  `
  with made as (
    insert into tasks (id, workspace_id, kind, model, provider, pool, input, input_key, metadata, sequence,
      priority, run_at, deadline, start_by, timeout_ms, fallback_models, work, retry_of, api_key_id, status)
    select $1, $2, $3, $4, $5, $6, $7::json, $8, $9::jsonb, 1,
      $12::int, $13::timestamptz, $14::timestamptz, $15::timestamptz, $16::int, $17::jsonb, $18::float8, $19, $20,
      case when $13::timestamptz > clock_timestamp() then 'scheduled' else 'queued' end
    where ${setWorkspaceScope('$2')} and (
      select count(*) from (
        select from tasks where workspace_id = $2 and status in ('scheduled', 'queued', 'running') limit $11
      ) pending) < $11
    returning id, workspace_id, kind, model, status
  ), told as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select $10, workspace_id, id, 1, 'task.' || status, json_build_object('id', id, 'kind', kind, 'model', model)
    from made
  )
  select id, status from made`,
);
