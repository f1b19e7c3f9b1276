/** What the collection of garbage asks and remembers: which objects no row names, and how far its pass has come. */
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
   * Begins a pass, or goes on with the one that was begun, by whichever process.
   * @param everyS seconds between the end of a pass and the next. @returns the last key that it has looked at;
   * null while no pass is due.
   */
  async startOrResume(everyS: number): Promise<string | null> {
    const rows = await this.database.rows<{ after: string }>(
      `with begun as (
         insert into collections as pass (name) values ($1)
         on conflict (name) do update
         set after_key = '', began_at = clock_timestamp(), ended_at = null
         where pass.ended_at < clock_timestamp() - make_interval(secs => $2::float8)
         returning after_key)
       select after_key as after from begun
       union all
       select after_key from collections
       where name = $1 and ended_at is null and not exists (select from begun)`,
      [pass, everyS],
    );
    return rows[0]?.after ?? null;
  }

  /** Notes that all is looked at up to this key. */
  async advance(afterKey: string): Promise<void> {
    await this.database.rows(
      'update collections set after_key = $2 where name = $1 and ended_at is null and after_key < $2 collate "C"',
      [pass, afterKey],
    );
  }

  async end(): Promise<void> {
    await this.database.rows('update collections set ended_at = clock_timestamp() where name = $1', [pass]);
  }

  /** @returns the first workspace whose id is `from` or greater, in the order of the ids' bytes; null past the last. */
  async findNextWorkspace(from: string): Promise<string | null> {
    const [found] = await this.database.rows<{ id: string }>(
      'select id from workspaces where id collate "C" >= $1 order by id collate "C" limit 1',
      [from],
    );
    return found?.id ?? null;
  }

  /** @returns the keys of those that nothing refers to and that are older than `ageS` seconds. */
  async listUnreferenced(objects: readonly ListedObject[], ageS: number): Promise<string[]> {
    const rows = await this.database.rows<{ key: string }>(listUnreferencedObjects, [
      objects.map(({ key }) => key),
      objects.map(({ modifiedAt }) => modifiedAt),
      ageS,
    ]);
    return rows.map(({ key }) => key);
  }
}
