/** What the object store holds against what Postgres says it holds: nothing is lost and nothing is left behind. */
import type { Platform } from './platform.ts';
import type { Sql } from './sql.ts';

export interface LeftOvers {
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

/** To be called when nothing is under way. */
export async function leftOvers({ objects }: Pick<Platform, 'objects'>, sql: Sql): Promise<LeftOvers> {
  const stored = await objects.sizes();
  const rows = await sql.rows<{ key: string; bytes: string }>(referencedObjects);
  const known = new Map(rows.map(({ key, bytes }) => [key, Number(bytes)]));
  const retired = new Set((await sql.rows<{ key: string }>(retiredObjects)).map(({ key }) => key));
  return {
    unreferenced: [...stored.keys()].filter((key) => !known.has(key) && !retired.has(key)),
    missing: [...known].flatMap(([key, bytes]) => (stored.get(key) === bytes ? [] : [key])),
  };
}
