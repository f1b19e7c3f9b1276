/**
 * Deletes objects that no row refers to: those of a superseded attempt that could not delete them, and those of an
 * upload whose process died before it wrote the row. It passes over all objects in the order of their keys, a bounded
 * step at a time; when a process stops, the next one continues.
 *
 * Uploads and attempts store an object before they write its row, so a young object is never garbage. Only prefixes of
 * workspaces in the database are listed, because a bucket may be shared.
 */
import type { GarbageCollectionStore, ListedObject } from '#database';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';

export interface GarbageOptions {
  readonly garbage: GarbageCollectionStore;
  readonly objects: Pick<ObjectStorage, 'list' | 'delete'>;
  /** Age in seconds from which an object without a row is garbage. */
  readonly ageS: number;
  /** Seconds from the end of a pass to the next. */
  readonly everyS: number;
  /** Objects listed in one step. @default 5,000 */
  readonly step?: number;
  readonly log: Logger;
}

/** Objects checked by one statement, and held in memory. */
const page = 1_000;

/** One step of a pass. @returns how many objects it deleted. */
export async function collectGarbage(deps: GarbageOptions): Promise<number> {
  const { garbage, step = 5_000, everyS } = deps;
  const after = await garbage.startOrResume(everyS);
  if (after === null) return 0;
  let looked = 0;
  let deleted = 0;
  // A key starts with its workspace's id, so the last key tells which workspace the pass is in.
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
