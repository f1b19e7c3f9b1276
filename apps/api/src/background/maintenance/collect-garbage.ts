/**
 * Takes away the objects that no row names: what a void attempt stored and could not take back, what an upload
 * left whose process died before its row. A slow pass over the whole store, in the order of the keys, a bounded
 * step at a time; where a process stops, the next one goes on.
 *
 * Uploads and attempts store an object before they write the row that names it, so a young object is never
 * garbage. Only the prefixes of workspaces that the database knows are looked at: a bucket may be shared.
 */
import type { GarbageStore, ListedObject } from '#database';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';

export interface GarbageOptions {
  readonly garbage: GarbageStore;
  readonly objects: Pick<ObjectStore, 'list' | 'delete'>;
  /** Seconds for which an object may wait for its row. */
  readonly ageS: number;
  /** Seconds from the end of a pass to the next. */
  readonly everyS: number;
  /** Objects that a step looks at. @default 5,000 */
  readonly step?: number;
  readonly log: Logger;
}

/** Objects asked after by one statement, and held at once. */
const page = 1_000;

/** One step of a pass. @returns how many objects it deleted. */
export async function collectGarbage(deps: GarbageOptions): Promise<number> {
  const { garbage, step = 5_000, everyS } = deps;
  const after = await garbage.startOrResume(everyS);
  if (after === null) return 0;
  let looked = 0;
  let deleted = 0;
  // A key begins with its workspace's id, so the pass's place says in which workspace it stands.
  let workspace = await garbage.findNextWorkspace(after.split('/', 1)[0]!);
  while (workspace !== null) {
    for await (const objects of listPages(deps, `${workspace}/`, after)) {
      deleted += await deleteUnreferenced(objects, deps);
      await garbage.advance(objects.at(-1)!.key);
      looked += objects.length;
      if (looked >= step) return deleted;
    }
    // '0' is the character after '/': the next id that is not this workspace's.
    workspace = await garbage.findNextWorkspace(`${workspace}0`);
  }
  await garbage.end();
  return deleted;
}

async function* listPages({ objects: store, step = page }: GarbageOptions, prefix: string, after: string) {
  let objects: ListedObject[] = [];
  for await (const { key, modifiedAt } of store.list(prefix, { after })) {
    objects.push({ key, modifiedAt });
    if (objects.length < Math.min(page, step)) continue;
    yield objects;
    objects = [];
  }
  if (objects.length > 0) yield objects;
}

async function deleteUnreferenced(objects: readonly ListedObject[], deps: GarbageOptions): Promise<number> {
  const keys = await deps.garbage.listUnreferenced(objects, deps.ageS);
  if (keys.length === 0) return 0;
  await deps.objects.delete(keys);
  deps.log.info({ objects: keys.length, first: keys[0] }, 'deleted objects that nothing refers to');
  return keys.length;
}
