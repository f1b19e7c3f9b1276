/** Compares the object storage with the objects that Postgres refers to, to find missing and unreferenced ones. */
import type { Platform } from './platform.ts';
import type { SqlClient } from './sql.ts';

export interface StoredObjectDifferences {
  /** Objects that no row refers to, and partly written ones. */
  readonly unreferenced: string[];
  /** Objects that a row refers to and that do not exist, or have another size. */
  readonly missing: string[];
}

/** Key and size of every object that a row refers to. The size is null where the row has none. */
export const referencedObjects = `
  select object_key as key, max(bytes) as bytes from file_segments group by 1
  union select output_key, output_bytes from chunks c where output_key is not null
    and not exists (select from file_segments s where s.object_key = c.output_key)
  union select error_key, error_bytes from chunks c where error_key is not null
    and not exists (select from file_segments s where s.object_key = c.error_key)
  union select object_key, max(bytes) from checkpoints group by 1
  union select object_key, bytes from upload_parts
  union select kept ->> 'key', (kept ->> 'bytes')::bigint from tasks t, jsonb_array_elements(t.media) kept`;

/** Objects that are queued for deletion, and may already be deleted. */
export const retiredObjects = 'select object_key as key from retired_objects';

/**
 * A row counts when it exists before and after the objects are listed, so that an object that is stored meanwhile is not
 * reported as missing. Such an object may be reported as unreferenced.
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
