/** Checks that the storage still has the recorded objects: many with one listing, a few with one request each. */
import type { ObjectStorage } from './object-storage.ts';

interface ExpectedObject {
  readonly key: string;
  readonly bytes: number;
}

/** Up to this many objects are checked one by one. For more, a listing is cheaper: 1,000 keys per request. */
const headBatchSize = 8;

/**
 * @param recorded keys and sizes. If there are more than 8, all must be in the folder of the first one.
 * @returns the keys of the objects that are missing or have another size.
 */
export async function findDamaged(
  storage: Pick<ObjectStorage, 'head' | 'list'>,
  recorded: readonly ExpectedObject[],
): Promise<string[]> {
  const suspects = recorded.length > headBatchSize ? await findUnlisted(storage, recorded) : recorded;
  // A listing may be out of date, so objects that it does not show are requested by key.
  const damaged: string[] = [];
  for (let at = 0; at < suspects.length; at += headBatchSize) {
    const batch = suspects.slice(at, at + headBatchSize);
    const found = await Promise.all(batch.map(({ key }) => storage.head(key)));
    damaged.push(...batch.filter(({ bytes }, index) => found[index]?.bytes !== bytes).map(({ key }) => key));
  }
  return damaged;
}

async function findUnlisted(
  storage: Pick<ObjectStorage, 'list'>,
  recorded: readonly ExpectedObject[],
): Promise<ExpectedObject[]> {
  const [first] = recorded;
  const folder = first!.key.slice(0, first!.key.lastIndexOf('/') + 1);
  const unlisted = new Map(recorded.map((object) => [object.key, object]));
  for await (const { key, bytes } of storage.list(folder)) {
    if (unlisted.get(key)?.bytes === bytes) unlisted.delete(key);
  }
  return [...unlisted.values()];
}
