/**
 * What the sweep looks at: work that should be in the queue and may have been lost with it. Paged by key, so
 * that a flushed queue of any size is rebuilt in bounded steps. A running chunk is left to its worker while
 * that worker is seen; once it isn't, the chunk is suspect like a queued one.
 *
 * $1 seconds after which a queued chunk is suspect, $2 seconds after which a worker counts as gone, $3/$4 the
 * last key seen, $5 page size.
 */
export const listOverdueChunks = `
  select c.batch_id as "batchId", c.index as chunk, c.delivery, b.pool
  from chunks c
  join batches b on b.id = c.batch_id and b.status in ('in_progress', 'cancelling')
  left join workers w on w.id = c.worker_id and w.seen_at > clock_timestamp() - make_interval(secs => $2)
  where c.status in ('queued', 'running')
    and c.queued_at < clock_timestamp() - make_interval(secs => $1)
    and (c.status = 'queued' or w.id is null)
    and (c.batch_id, c.index) > ($3, $4::int)
  order by c.batch_id, c.index
  limit $5`;

/** A job that is gone is delivered anew under the next number. $1 batches, $2 indexes, $3 deliveries as they were. */
export const requeueChunks = `
  update chunks c
  set status = 'queued', delivery = c.delivery + 1, queued_at = clock_timestamp()
  from unnest($1::text[], $2::int[], $3::int[]) as gone (batch_id, index, delivery), batches b
  where c.batch_id = gone.batch_id and c.index = gone.index and c.delivery = gone.delivery
    and c.status in ('queued', 'running') and b.id = c.batch_id
  returning c.batch_id as "batchId", c.index as chunk, c.delivery, b.pool`;

/** $1 seconds. */
export const listOverduePlans = `
  select id as "batchId", plan_delivery as delivery
  from batches
  where status = 'validating'
    and coalesce(planned_at, created_at) < clock_timestamp() - make_interval(secs => $1)
  order by id
  limit 1000`;

/** $1 batches, $2 deliveries as they were. */
export const requeuePlans = `
  update batches b
  set plan_delivery = b.plan_delivery + 1, planned_at = clock_timestamp()
  from unnest($1::text[], $2::int[]) as gone (id, delivery)
  where b.id = gone.id and b.plan_delivery = gone.delivery and b.status = 'validating'
  returning b.id as "batchId", b.plan_delivery as delivery`;
