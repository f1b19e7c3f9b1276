/** Deletes the objects of files that have expired or were deleted; `delete-file.ts` deletes most of them at once. */
import type { FileStore } from '#database';
import type { ObjectStorage } from '#storage';

export interface DeleteAbandonedObjectsDeps {
  readonly files: Pick<FileStore, 'listAbandonedSegments' | 'deleteSegments'>;
  readonly objects: Pick<ObjectStorage, 'delete'>;
}

const page = 1_000;

export async function deleteAbandonedObjects({ files, objects }: DeleteAbandonedObjectsDeps): Promise<void> {
  for (;;) {
    const abandoned = await files.listAbandonedSegments(page);
    const keys = abandoned.map(({ key }) => key);
    await objects.delete(keys);
    await files.deleteSegments(keys);
    if (abandoned.length < page) return;
  }
}
