/** What the operating system says, in the words of the error tree; the cause keeps path and errno for the log. */
import { Conflict, Failure, NotFound, Unavailable } from '#domain';

/** Runs one step on the disk and translates what it throws. */
export async function runOnDisk<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw toStorageError(error);
  }
}

/** `ENOENT` and so on for an error of the system, undefined for any other. */
export function getErrno(error: unknown): string | undefined {
  const { errno, code } = (error ?? {}) as NodeJS.ErrnoException;
  return typeof errno === 'number' && typeof code === 'string' ? code : undefined;
}

/** Missing, whether the file is or a folder on the way to it; a key under another object is missing too. */
export function isMissingError(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(getErrno(error) ?? '');
}

export function objectNotFound(cause?: unknown): NotFound {
  return new NotFound('There is no such object in the store.', { code: 'object_not_found', cause });
}

export function toStorageError(error: unknown): unknown {
  const errno = getErrno(error);
  if (error instanceof Failure || errno === undefined) return error;
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Unavailable('The object store is full: free or add disk space, then try again.', {
        status: 507,
        retryAfterMs: 60_000,
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Unavailable(
        'The object store refuses access: its folder must be readable and writable by the user Millrace runs as.',
        { code: 'storage_denied', cause: error },
      );
    case 'EMFILE':
    case 'ENFILE':
      return new Unavailable('The object store has too many files open; raise the limit (ulimit -n).', {
        code: 'storage_busy',
        cause: error,
      });
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ENOTEMPTY':
      return new Conflict('A key of the store may not be the folder of another one.', {
        code: 'key_is_folder',
        cause: error,
      });
    default:
      return new Unavailable('The object store failed to read or write; its log line has the cause.', {
        code: 'storage_failed',
        cause: error,
      });
  }
}
