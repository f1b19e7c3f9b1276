/**
 * Of a page of stored objects, those that are garbage: written longer than \`$3\` seconds ago by the database's
 * clock, and named by no row. Whatever begins to refer to objects has to be added here.
 *
 * - A file's segments, of uploads and of results, name theirs; so do the parts that are not yet, or never, a
 *   file's: the sweep takes those away. A chunk names what its commit has shown.
 * - A task names its input, its output and that output's media, and the attempt that holds a running one may still
 *   name what it has stored.
 * - The attempt that holds a running chunk may still commit what it has stored: a worker that was frozen for
 *   longer than the safe age, where nobody took its chunk over.
 * - A checkpoint names what was kept of a chunk; an object that is retired goes when it is due, not before.
 *
 * All chunks of the page's batches are read once: two dozen pages of a 10,000,000-line batch read 2,500 rows each.
 *
 * \`$1\` keys, \`$2\` when each was written, \`$3\` seconds.
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
  select kept ->> 'key' from tasks t, jsonb_array_elements(t.media) kept where t.id in (select subject from old)
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
