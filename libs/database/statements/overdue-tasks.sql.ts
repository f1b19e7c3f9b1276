/** Tasks whose job may be missing from the queue; compare overdue-chunks.sql.ts. */
import { laneOf } from './lane.sql.ts';

/** $1 seconds after which a queued task is suspect, $2 seconds after which a worker counts as dead, $3 last id, $4 page size. */
export const listOverdueTasks = `
  select t.id as "taskId", t.generation, ${laneOf('t')} as lane, t.priority,
    t.workspace_id as "workspaceId", t.kind, t.model
  from tasks t
  left join workers w on w.id = t.worker_id and w.seen_at > clock_timestamp() - make_interval(secs => $2)
  where t.status in ('queued', 'running')
    and t.queued_at < clock_timestamp() - make_interval(secs => $1)
    and (t.status = 'queued' or w.id is null)
    and t.id > $3
  order by t.id
  limit $4`;

/** Gives tasks whose job is missing the next generation. $1 tasks, $2 generations as they were read. */
export const requeueTasks = `
  update tasks t
  set status = 'queued', generation = t.generation + 1, queued_at = clock_timestamp()
  from unnest($1::text[], $2::int[]) as missing (id, generation)
  where t.id = missing.id and t.generation = missing.generation and t.status in ('queued', 'running')
  returning t.id as "taskId", t.generation, ${laneOf('t')} as lane, t.priority,
    t.workspace_id as "workspaceId", t.kind, t.model`;
