/** A part that was stored is noted under its upload; the parts of a completed upload become a file's segments. */

/**
 * Only while the upload is pending and has room. The upload's row is locked by it, so neither an end nor the limits
 * are passed by parts that come at once. One row when it was noted.
 *
 * $1 upload, $2 workspace, $3/$4 most parts and bytes, $5 part, $6 key, $7 … $14 as \`PartLines\` of libs/domain.
 */
export const addUploadPart = `
  with taken as (
    update uploads set parts = parts + 1, part_bytes = part_bytes + $7::bigint
    where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > now()
      and parts < $3::int and part_bytes + $7::bigint <= $4::bigint
    returning id
  )
  insert into upload_parts (id, upload_id, object_key, bytes, breaks, lines, head, head_text, tail_filled, first_start, entries)
  select $5, id, $6, $7::bigint, $8::bigint, $9::bigint, $10, $11::int, $12::boolean, $13::bigint, $14 from taken
  returning id`;

/**
 * No byte is copied, and no index passes through here: ten gigabytes of empty lines have twenty megabytes of it.
 * $1 file, $2 upload, $3 the parts that are its own now, each with its place.
 */
export const partsToSegments = `
  with placed as (
    select * from jsonb_to_recordset($3) as p (id text, position int, lines bigint, "firstLine" bigint)
  ), moved as (
    delete from upload_parts u using placed p where u.id = p.id and u.upload_id = $2
    returning u.*
  )
  insert into file_segments (file_id, position, object_key, bytes, lines, line_index, first_line, first_start)
  select $1, p.position, m.object_key, m.bytes, p.lines, case when p."firstLine" is not null then m.entries end,
    coalesce(p."firstLine", 0), m.first_start
  from moved m join placed p on p.id = m.id`;
