/**
 * Of a page of listed objects, returns those that are garbage: written more than `$3` seconds ago by the database's clock,
 * and not referenced by any row. Every new reference to objects must be added here.
 *
 * - A file's segments reference their objects. So do upload parts that are not, or will never be, part of a file: the
 *   clean-up of abandoned parts deletes those. A chunk references what its commit has written.
 * - A task references its input, its output and its media. The attempt that holds a running task may still reference
 *   what it has stored.
 * - The attempt that holds a running chunk may still commit what it has stored: its worker may have been frozen for
 *   longer than the safe age while no other worker took over the chunk.
 * - A checkpoint references its object. A retired object is deleted when it is due, not before.
 *
 * The statement reads the chunks of the page's batches once: two dozen pages of a 10,000,000-line batch read 2,500 rows
 * each.
 *
 * `$1` keys, `$2` when each was written, `$3` seconds.
 */
export const listUnreferencedObjects = `
  with old as materialized (
    select key, split_part(key, '/', 3) as subject
    from unnest($1::text[], $2::timestamptz[]) as listed (key, written_at)
    where written_at < clock_timestamp() - make_interval(secs => $3::float8)
  ), chunks_of_page as materialized (
    select c.* from chunks c where c.batch_id in (select subject from old)
  )
  select key from old
  except select input_key from tasks where id in (select subject from old)
  except select output_key from tasks where id in (select subject from old)
  except
  select stored ->> 'key' from tasks t, jsonb_array_elements(t.media) stored where t.id in (select subject from old)
  except
  select old.key from old join tasks t on t.id = old.subject
  where t.status = 'running' and starts_with(old.key, concat(t.workspace_id, '/tasks/', t.id, '/', t.attempt, '.'))
  except select s.object_key from file_segments s where s.object_key in (select key from old)
  except select p.object_key from upload_parts p where p.object_key in (select key from old)
  except select k.object_key from checkpoints k where k.object_key in (select key from old)
  except select r.object_key from retired_objects r where r.object_key in (select key from old)
  except select output_key from chunks_of_page
  except select error_key from chunks_of_page
  except
  select old.key from old join chunks_of_page c on c.batch_id = old.subject
  where c.status = 'running'
    and starts_with(old.key, concat(c.workspace_id, '/batches/', c.batch_id, '/', c.index, '-', c.attempt, '.'))`;
