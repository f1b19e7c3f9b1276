/** Tasks that should be in the queue and may have been lost with it; as chunks are (overdue.sql.ts). */

/** $1 seconds after which a queued task is suspect, $2 after which a worker counts as gone, $3 last id, $4 page size. */
export const listOverdueTasks = `
  select t.id as "taskId", t.delivery, t.pool, t.priority
  from tasks t
  left join workers w on w.id = t.worker_id and w.seen_at > clock_timestamp() - make_interval(secs => $2)
  where t.status in ('queued', 'running')
    and t.queued_at < clock_timestamp() - make_interval(secs => $1)
    and (t.status = 'queued' or w.id is null)
    and t.id > $3
  order by t.id
  limit $4`;

/** $1 tasks, $2 deliveries as they were. */
export const requeueTasks = `
  with anew as (
    update tasks t
    set status = 'queued', delivery = t.delivery + 1, queued_at = clock_timestamp()
    from unnest($1::text[], $2::int[]) as gone (id, delivery)
    where t.id = gone.id and t.delivery = gone.delivery and t.status in ('queued', 'running')
    returning t.id, t.delivery, t.pool, t.priority
  )
  select id as "taskId", delivery, pool, priority from anew`;
