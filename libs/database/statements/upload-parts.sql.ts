/** Adds a stored part to its upload, and turns the parts of a completed upload into a file's segments. */

/**
 * Adds a part, only while the upload is pending and below its limits. The statement locks the upload's row, so that
 * concurrent parts cannot exceed the limits or be added after the upload has ended. Returns one row when it was added.
 *
 * $1 upload, $2 workspace, $3/$4 limits of parts and bytes, $5 part, $6 key, $7 … $14 as `PartLines` of libs/domain.
 */
export const addUploadPart = `
  with counted as (
    update uploads set parts = parts + 1, part_bytes = part_bytes + $7::bigint
    where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > now()
      and parts < $3::int and part_bytes + $7::bigint <= $4::bigint
    returning id
  )
  insert into upload_parts (id, upload_id, object_key, bytes, breaks, lines, head, head_text, tail_filled, first_start, entries)
  select $5, id, $6, $7::bigint, $8::bigint, $9::bigint, $10, $11::int, $12::boolean, $13::bigint, $14 from counted
  returning id`;

/**
 * Moves parts into a file's segments. No byte is copied, and the line index does not pass through this process: for ten
 * gigabytes of empty lines it has twenty megabytes.
 * $1 file, $2 upload, $3 the file's parts, each with its position.
 */
export const partsToSegments = `
  with listed as (
    select * from jsonb_to_recordset($3) as p (id text, position int, lines bigint, "firstLine" bigint)
  ), moved as (
    delete from upload_parts u using listed p where u.id = p.id and u.upload_id = $2
    returning u.*
  )
  insert into file_segments (file_id, position, object_key, bytes, lines, line_index, first_line, first_start)
  select $1, p.position, m.object_key, m.bytes, p.lines, case when p."firstLine" is not null then m.entries end,
    coalesce(p."firstLine", 0), m.first_start
  from moved m join listed p on p.id = m.id`;
