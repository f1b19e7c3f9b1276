/**
 * A chunk that workers died of becomes two: it keeps its first lines, a new chunk under the batch's next index
 * takes the rest, and both wait to be dispatched. Only for the attempt that holds the chunk. The batch's row is
 * locked after the chunk's, as by a commit, so that the count of chunks is right for whoever commits the last.
 * What was kept of its lines is for both. Losses up to here have been answered: they no longer count against the first half, and the new one has none.
 *
 * $1 batch, $2 index, $3 attempt, $4/$5 lines and bytes that stay, $6 first line of the rest.
 */
export const splitChunk = `
  with held as materialized (
    select * from chunks
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
      and $4::int between 1 and lines - 1 and $5::bigint between 1 and byte_length - 1
    for update
  ), grown as (
    update batches b set chunk_count = b.chunk_count + 1
    from held where b.id = held.batch_id and b.status in ('in_progress', 'cancelling')
    returning b.chunk_count - 1 as index
  ), rest as (
    insert into chunks (batch_id, workspace_id, index, first_line, lines, byte_start, byte_length)
    select held.batch_id, held.workspace_id, grown.index, $6::bigint, held.lines - $4::int,
      held.byte_start + $5::bigint, held.byte_length - $5::bigint
    from held, grown
  ), kept as (
    insert into checkpoints (batch_id, chunk, object_key, bytes)
    select k.batch_id, grown.index, k.object_key, k.bytes
    from checkpoints k, held, grown where k.batch_id = held.batch_id and k.chunk = held.index
  ), ended as (
    update attempts a set outcome = 'failed', error_code = 'chunk_halved', finished_at = clock_timestamp()
    from held, grown where a.batch_id = held.batch_id and a.chunk = held.index and a.number = held.attempt
  )
  update chunks c
  set status = 'pending', lines = $4, byte_length = $5, halved_at = held.attempt, not_before = null
  from held, grown
  where c.batch_id = held.batch_id and c.index = held.index
  returning grown.index`;
