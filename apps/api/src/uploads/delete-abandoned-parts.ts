/** Deletes the parts of uploads that have expired or were canceled, and those that a completed upload did not use. */
import type { UploadStore } from '#database';
import type { ObjectStorage } from '#storage';

export interface DeleteAbandonedPartsDeps {
  readonly uploads: Pick<UploadStore, 'listAbandonedParts' | 'deleteParts'>;
  readonly objects: Pick<ObjectStorage, 'delete'>;
}

const page = 1_000;

export async function deleteAbandonedParts({ uploads, objects }: DeleteAbandonedPartsDeps): Promise<void> {
  for (;;) {
    const abandoned = await uploads.listAbandonedParts(page);
    await objects.delete(abandoned.map(({ key }) => key));
    await uploads.deleteParts(abandoned.map(({ id }) => id));
    if (abandoned.length < page) return;
  }
}
