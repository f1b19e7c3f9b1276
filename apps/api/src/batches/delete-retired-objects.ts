/** Deletes checkpoints of chunks that are done, and segments that were composed into one object. */
import type { CheckpointStore } from '#database';
import type { ObjectStorage } from '#storage';

export interface DeleteRetiredObjectsDeps {
  readonly checkpoints: CheckpointStore;
  readonly objects: ObjectStorage;
}

const page = 1_000;

export async function deleteRetiredObjects({
  checkpoints,
  objects,
}: DeleteRetiredObjectsDeps): Promise<void> {
  await checkpoints.retireFinished();
  for (;;) {
    const keys = await checkpoints.listRetiredObjects(page);
    await objects.delete(keys);
    await checkpoints.deleteRetiredObjects(keys);
    if (keys.length < page) return;
  }
}
