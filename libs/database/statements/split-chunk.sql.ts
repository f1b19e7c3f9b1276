/**
 * Splits a chunk whose workers crashed: it keeps its first lines, a new chunk with the batch's next index gets the rest,
 * and both wait to be dispatched. Only for the attempt that holds the chunk. The batch's row is locked after the chunk's,
 * in the same order as a commit, so that the commit of the last chunk sees the right chunk count. Both parts get the
 * chunk's checkpoints. Attempts lost before the split do not count against either part.
 *
 * $1 batch, $2 index, $3 attempt, $4/$5 lines and bytes of the first part, $6 first line of the rest.
 */
export const splitChunk = `
  with held as materialized (
    select * from chunks
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
      and $4::int between 1 and lines - 1 and $5::bigint between 1 and byte_length - 1
    for update
  ), counted as (
    update batches b set chunk_count = b.chunk_count + 1
    from held where b.id = held.batch_id and b.status in ('in_progress', 'cancelling')
    returning b.chunk_count - 1 as index
  ), rest as (
    insert into chunks (batch_id, workspace_id, index, first_line, lines, byte_start, byte_length)
    select held.batch_id, held.workspace_id, counted.index, $6::bigint, held.lines - $4::int,
      held.byte_start + $5::bigint, held.byte_length - $5::bigint
    from held, counted
  ), shared as (
    insert into checkpoints (batch_id, chunk, object_key, bytes)
    select k.batch_id, counted.index, k.object_key, k.bytes
    from checkpoints k, held, counted where k.batch_id = held.batch_id and k.chunk = held.index
  ), ended as (
    update attempts a set outcome = 'failed', error_code = 'chunk_split', finished_at = clock_timestamp()
    from held, counted where a.batch_id = held.batch_id and a.chunk = held.index and a.number = held.attempt
  )
  update chunks c
  set status = 'pending', lines = $4, byte_length = $5, split_attempt = held.attempt, not_before = null
  from held, counted
  where c.batch_id = held.batch_id and c.index = held.index
  returning counted.index`;
