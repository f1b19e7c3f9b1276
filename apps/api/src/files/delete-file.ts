/** Deletes a file: its row first, then its objects. */
import type { FileStore } from '#database';
import type { ObjectStorage } from '#storage';

/** @throws NotFound */
export type DeleteFile = (workspaceId: string, id: string) => Promise<void>;
export const DELETE_FILE = Symbol('delete file');

export interface DeleteFileDeps {
  readonly files: FileStore;
  readonly objects: ObjectStorage;
}

export function deleteFileWith({ files, objects }: DeleteFileDeps): DeleteFile {
  return async (workspaceId, id) => {
    await files.delete(workspaceId, id);
    const keys = (await files.listSegments(workspaceId, id)).map(({ key }) => key);
    // The owner no longer sees the file. If this fails, the storage clean-up deletes the objects later.
    await objects.delete(keys).then(
      () => files.deleteSegments(keys),
      () => undefined,
    );
  };
}
