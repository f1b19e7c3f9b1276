/**
 * Checkpoints: objects that hold the records of a chunk's finished lines while the others still run, where lines cost
 * money. The next attempt takes them over; once the chunk is done they are of no use.
 */

/** Only for the attempt that holds the chunk: its row is locked, so that no claim comes in between. \`$1\`..\`$3\` chunk, \`$4\` key, \`$5\` bytes. */
export const saveCheckpoint = `
  with held as materialized (
    select batch_id, index from chunks
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
    for share
  )
  insert into checkpoints (batch_id, chunk, object_key, bytes)
  select batch_id, index, $4, $5 from held
  returning object_key`;

/** Those of chunks that are done, or gone with their batch's end. Two halves of a chunk may name the same object. */
export const retireCheckpoints = `
  with gone as (
    delete from checkpoints k
    where not exists (
      select from chunks c where c.batch_id = k.batch_id and c.index = k.chunk and c.status <> 'done')
    returning k.batch_id, k.chunk, k.object_key
  )
  insert into retired_objects (object_key, due_at)
  select distinct g.object_key, clock_timestamp() from gone g
  where not exists (
    select from checkpoints k
    where k.object_key = g.object_key
      and not exists (select from gone o where o.batch_id = k.batch_id and o.chunk = k.chunk))
  on conflict do nothing`;
