/**
 * Checkpoints: objects with the records of a chunk's finished lines, written while its other lines still run. They are
 * written where lines cost money, so that the next attempt does not pay for them again. A completed chunk does not need
 * them any more.
 */

/** Saves only for the attempt that holds the chunk; the row lock keeps a new claim out. `$1`..`$3` chunk, `$4` key, `$5` bytes. */
export const saveCheckpoint = `
  with held as materialized (
    select batch_id, index from chunks
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
    for share
  )
  insert into checkpoints (batch_id, chunk, object_key, bytes)
  select batch_id, index, $4, $5 from held
  returning object_key`;

/**
 * Deletes checkpoints of chunks that are done or were deleted with their batch's end, and retires their objects. The two
 * parts of a split chunk may share an object, so an object is retired only with its last checkpoint.
 */
export const retireCheckpoints = `
  with deleted as (
    delete from checkpoints k
    where not exists (
      select from chunks c where c.batch_id = k.batch_id and c.index = k.chunk and c.status <> 'done')
    returning k.batch_id, k.chunk, k.object_key
  )
  insert into retired_objects (object_key, due_at)
  select distinct d.object_key, clock_timestamp() from deleted d
  where not exists (
    select from checkpoints k
    where k.object_key = d.object_key
      and not exists (select from deleted o where o.batch_id = k.batch_id and o.chunk = k.chunk))
  on conflict do nothing`;
