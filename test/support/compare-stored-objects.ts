/** What the object store holds against what Postgres says it holds: nothing is lost and nothing is left behind. */
import type { Platform } from './platform.ts';
import type { SqlClient } from './sql.ts';

export interface StoredObjectDifferences {
  /** Objects that nothing refers to, and half-written ones. */
  readonly unreferenced: string[];
  /** Objects that something refers to and that are not there, or not with the size that it says. */
  readonly missing: string[];
}

/** Key → bytes of every object that a row names; null where the row knows no size. */
export const referencedObjects = `
  select object_key as key, max(bytes) as bytes from file_segments group by 1
  union select output_key, output_bytes from chunks c where output_key is not null
    and not exists (select from file_segments s where s.object_key = c.output_key)
  union select error_key, error_bytes from chunks c where error_key is not null
    and not exists (select from file_segments s where s.object_key = c.error_key)
  union select object_key, max(bytes) from checkpoints group by 1
  union select object_key, bytes from upload_parts
  union select kept ->> 'key', (kept ->> 'bytes')::bigint from tasks t, jsonb_array_elements(t.media) kept`;

/** Objects that are to go, and may be gone. */
export const retiredObjects = 'select object_key as key from retired_objects';

/**
 * What is stored while this looks is not missed: a row counts that was there before the objects were listed and still is.
 * What is under way in that moment may show as unreferenced.
 */
export async function compareStoredObjects(
  { objects }: Pick<Platform, 'objects'>,
  sql: SqlClient,
): Promise<StoredObjectDifferences> {
  const before = await bytesByKey(sql);
  const stored = await objects.listSizes();
  const known = await bytesByKey(sql);
  const retired = new Set((await sql.rows<{ key: string }>(retiredObjects)).map(({ key }) => key));
  return {
    unreferenced: [...stored.keys()].filter((key) => !known.has(key) && !retired.has(key)),
    missing: [...before].flatMap(([key, bytes]) =>
      known.get(key) !== bytes || stored.get(key) === bytes ? [] : [key],
    ),
  };
}

async function bytesByKey(sql: SqlClient): Promise<Map<string, number>> {
  const rows = await sql.rows<{ key: string; bytes: string }>(referencedObjects);
  return new Map(rows.map(({ key, bytes }) => [key, Number(bytes)]));
}
