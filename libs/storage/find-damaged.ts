/** Whether the store still has what it was given: by one listing where there are many objects, else by asking for each. */
import type { ObjectStorage } from './object-storage.ts';

interface ExpectedObject {
  readonly key: string;
  readonly bytes: number;
}

/** So many are asked for one by one; of more a listing costs less: 1,000 keys a request. */
const headBatchSize = 8;

/**
 * @param recorded with their sizes, all of one folder where they are many.
 * @returns the keys of those that are missing or of another size.
 */
export async function findDamaged(
  objects: Pick<ObjectStorage, 'head' | 'list'>,
  recorded: readonly ExpectedObject[],
): Promise<string[]> {
  const suspects = recorded.length > headBatchSize ? await findUnlisted(objects, recorded) : recorded;
  // A listing may be behind; what it does not show is asked for by name.
  const damaged: string[] = [];
  for (let at = 0; at < suspects.length; at += headBatchSize) {
    const some = suspects.slice(at, at + headBatchSize);
    const heads = await Promise.all(some.map(({ key }) => objects.head(key)));
    damaged.push(...some.filter(({ bytes }, of) => heads[of]?.bytes !== bytes).map(({ key }) => key));
  }
  return damaged;
}

async function findUnlisted(
  objects: Pick<ObjectStorage, 'list'>,
  recorded: readonly ExpectedObject[],
): Promise<ExpectedObject[]> {
  const [first] = recorded;
  const folder = first!.key.slice(0, first!.key.lastIndexOf('/') + 1);
  const left = new Map(recorded.map((each) => [each.key, each]));
  for await (const { key, bytes } of objects.list(folder)) {
    if (left.get(key)?.bytes === bytes) left.delete(key);
  }
  return [...left.values()];
}
