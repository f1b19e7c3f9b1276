import { laneOf } from './lane.sql.ts';

/**
 * What the reconciler compares with the queue: work that should have a job there. Paged by key, so that a flushed queue
 * of any size is rebuilt in bounded steps. A running chunk belongs to its worker while the worker sends heartbeats; when
 * they stop, the chunk is suspect like a queued one.
 *
 * $1 seconds after which a queued chunk is suspect, $2 seconds after which a worker counts as dead, $3/$4 the
 * last key read, $5 page size.
 */
export const listOverdueChunks = `
  select c.batch_id as "batchId", c.index as chunk, c.generation, ${laneOf('b')} as lane
  from chunks c
  join batches b on b.id = c.batch_id and b.status in ('in_progress', 'cancelling')
  left join workers w on w.id = c.worker_id and w.seen_at > clock_timestamp() - make_interval(secs => $2)
  where c.status in ('queued', 'running')
    and c.queued_at < clock_timestamp() - make_interval(secs => $1)
    and (c.status = 'queued' or w.id is null)
    and (c.batch_id, c.index) > ($3, $4::int)
  order by c.batch_id, c.index
  limit $5`;

/** Gives chunks whose job is missing the next generation. $1 batches, $2 indexes, $3 generations as they were read. */
export const requeueChunks = `
  update chunks c
  set status = 'queued', generation = c.generation + 1, queued_at = clock_timestamp()
  from unnest($1::text[], $2::int[], $3::int[]) as missing (batch_id, index, generation), batches b
  where c.batch_id = missing.batch_id and c.index = missing.index and c.generation = missing.generation
    and c.status in ('queued', 'running') and b.id = c.batch_id
  returning c.batch_id as "batchId", c.index as chunk, c.generation, ${laneOf('b')} as lane`;

/** Plans that are overdue by `$1` seconds. */
export const listOverduePlans = `
  select id as "batchId", plan_generation as generation
  from batches
  where status = 'validating'
    and coalesce(planned_at, created_at) < clock_timestamp() - make_interval(secs => $1)
  order by id
  limit 1000`;

/** Gives plans whose job is missing the next generation. $1 batches, $2 generations as they were read. */
export const requeuePlans = `
  update batches b
  set plan_generation = b.plan_generation + 1, planned_at = clock_timestamp()
  from unnest($1::text[], $2::int[]) as missing (id, generation)
  where b.id = missing.id and b.plan_generation = missing.generation and b.status = 'validating'
  returning b.id as "batchId", b.plan_generation as generation`;
