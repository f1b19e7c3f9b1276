/** The garbage collection of objects: its position in the pass over all objects, and which objects no row references. */
import type { Database } from '../database.ts';
import { listUnreferencedObjects } from '../statements/unreferenced-objects.sql.ts';

export interface ListedObject {
  readonly key: string;
  readonly modifiedAt: Date;
}

const pass = 'garbage';

export class GarbageCollectionStore {
  constructor(private readonly database: Database) {}

  /**
   * Starts a pass, or resumes the current one, which another process may have started.
   * @param everyS seconds between the end of a pass and the start of the next.
   * @returns the last key that the pass has checked; null if no pass is due.
   */
  async startOrResume(everyS: number): Promise<string | null> {
    const rows = await this.database.rows<{ after: string }>(
      `with started as (
         insert into garbage_collections as pass (name) values ($1)
         on conflict (name) do update
         set after_key = '', started_at = clock_timestamp(), ended_at = null
         where pass.ended_at < clock_timestamp() - make_interval(secs => $2::float8)
         returning after_key)
       select after_key as after from started
       union all
       select after_key from garbage_collections
       where name = $1 and ended_at is null and not exists (select from started)`,
      [pass, everyS],
    );
    return rows[0]?.after ?? null;
  }

  /** Records that all objects up to this key are checked. */
  async advance(afterKey: string): Promise<void> {
    await this.database.rows(
      'update garbage_collections set after_key = $2 where name = $1 and ended_at is null and after_key < $2 collate "C"',
      [pass, afterKey],
    );
  }

  async end(): Promise<void> {
    await this.database.rows('update garbage_collections set ended_at = clock_timestamp() where name = $1', [
      pass,
    ]);
  }

  /** @returns the first workspace whose id is `from` or greater, in the byte order of the ids; null after the last. */
  async findNextWorkspace(from: string): Promise<string | null> {
    const [found] = await this.database.rows<{ id: string }>(
      'select id from workspaces where id collate "C" >= $1 order by id collate "C" limit 1',
      [from],
    );
    return found?.id ?? null;
  }

  /** @returns the keys of the objects that no row references and that are older than `ageS` seconds. */
  async listUnreferenced(objects: readonly ListedObject[], ageS: number): Promise<string[]> {
    const rows = await this.database.rows<{ key: string }>(listUnreferencedObjects, [
      objects.map(({ key }) => key),
      objects.map(({ modifiedAt }) => modifiedAt),
      ageS,
    ]);
    return rows.map(({ key }) => key);
  }
}
