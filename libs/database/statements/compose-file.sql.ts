/**
 * Replaces a file's many segments by one composed object: the file lists the composed object, its batch's chunks point
 * to their parts of it, and the old objects are retired. They are deleted later, because readers may still hold the old
 * list. All changes happen together, and only for a file that still exists and that no other process has composed.
 *
 * $1 file, $2 key and $3 bytes of the composed object, $4 seconds until the old objects are deleted.
 */
export const composeFile = `
  with work as materialized (
    select c.file_id, c.batch_id
    from compositions c join files f on f.id = c.file_id
    where c.file_id = $1 and f.deleted_at is null and f.bytes = $3::bigint
    for update
  ), old as materialized (
    select s.file_id, s.position, s.object_key, s.lines, sum(s.bytes) over (order by s.position) - s.bytes as start
    from file_segments s join work on work.file_id = s.file_id
  ), done as (
    delete from compositions c using work where c.file_id = work.file_id
  ), first as (
    update file_segments s
    set object_key = $2, bytes = $3, lines = (select sum(lines) from old)
    from work where s.file_id = work.file_id and s.position = 0
  ), others as (
    delete from file_segments s using work where s.file_id = work.file_id and s.position > 0
  ), outputs as (
    update chunks c set output_key = $2, output_start = old.start
    from work, old where c.batch_id = work.batch_id and c.output_key = old.object_key
  ), errors as (
    update chunks c set error_key = $2, error_start = old.start
    from work, old where c.batch_id = work.batch_id and c.error_key = old.object_key
  ), retired as (
    insert into retired_objects (object_key, file_id, due_at)
    select object_key, file_id, clock_timestamp() + make_interval(secs => $4::float8) from old
    on conflict do nothing
  )
  select file_id from work`;
