import { prepareStatement, setWorkspaceScope } from '../prepared-statement.ts';

/**
 * Inserts a task with its first event, if the workspace is below its limit of pending tasks. The count reads the partial
 * index `tasks_pending` and stops at the limit. Concurrent requests do not see each other's rows, so the limit may be
 * exceeded by the number of requests in flight. A lock would make it exact, but would serialize all commits of a
 * workspace (1,580 instead of 9,548 a second).
 *
 * The statement is its own transaction and sets the workspace scope itself: begin, scope and commit would be three more
 * round trips, each of which waits for the busy event loop under load (395 requests a second with them, 2 cores).
 *
 * $1 task, $2 workspace, $3 kind, $4 model, $5 provider, $6 pool, $7 input, $8 input key, $9 metadata, $10 event,
 * $11 limit of pending tasks, $12 priority, $13 run at, $14 deadline, $15 start by, $16 timeout of one call in ms,
 * $17 fallback models, $18 work, $19 the task that it retries, $20 API key, $21 the caller's
 * patience in ms. Returns no row when the limit is reached.
 */
export const createTask = prepareStatement(
  'create-task',
  `
  with created as (
    insert into tasks (id, workspace_id, kind, model, provider, pool, input, input_key, metadata, sequence,
      priority, run_at, deadline, start_by, timeout_ms, fallback_models, work, retry_of, api_key_id, patience_ms, status)
    select $1, $2, $3, $4, $5, $6, $7::json, $8, $9::jsonb, 1,
      $12::int, $13::timestamptz, $14::timestamptz, $15::timestamptz, $16::int, $17::jsonb, $18::float8, $19, $20, $21::int,
      case when $13::timestamptz > clock_timestamp() then 'scheduled' else 'queued' end
    where ${setWorkspaceScope('$2')} and (
      select count(*) from (
        select from tasks where workspace_id = $2 and status in ('scheduled', 'queued', 'running') limit $11
      ) pending) < $11
    returning id, workspace_id, kind, model, status
  ), event as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select $10, workspace_id, id, 1, 'task.' || status, json_build_object('id', id, 'kind', kind, 'model', model)
    from created
  )
  select id, status from created`,
);
