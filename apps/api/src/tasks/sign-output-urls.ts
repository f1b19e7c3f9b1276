/** Signed URLs of a task's output: the JSON of a large output, and its media. */
import type { ObjectStorage } from '#storage';

const lifetimeS = 3_600;

/** @param index of the media in the output. */
export function signMediaUrl(
  taskId: string,
  key: string,
  index: number,
  objects: Pick<ObjectStorage, 'signedUrl'>,
): Promise<string> {
  const extension = key.slice(key.lastIndexOf('.') + 1);
  const filename = `${taskId}-${index}.${extension}`;
  return objects.signedUrl(key, { method: 'GET', expiresInS: lifetimeS, filename });
}

export const signOutputUrl = (
  taskId: string,
  key: string,
  objects: Pick<ObjectStorage, 'signedUrl'>,
): Promise<string> =>
  objects.signedUrl(key, { method: 'GET', expiresInS: lifetimeS, filename: `${taskId}.json` });
