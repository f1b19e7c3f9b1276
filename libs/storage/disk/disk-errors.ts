/** Translates errors of the operating system. The cause keeps path and errno for the log. */
import { Conflict, Failure, Unavailable } from '#domain';

/** Runs an operation on the disk and translates its error. */
export async function runOnDisk<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw toStorageError(error);
  }
}

/** Returns the code of a system error, such as `ENOENT`; undefined for any other error. */
export function getErrno(error: unknown): string | undefined {
  const { errno, code } = (error ?? {}) as NodeJS.ErrnoException;
  return typeof errno === 'number' && typeof code === 'string' ? code : undefined;
}

/** Whether the file or a folder of its path is missing, or a part of the path is a file: then the key has no object. */
export function isMissingError(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(getErrno(error) ?? '');
}

export function toStorageError(error: unknown): unknown {
  const errno = getErrno(error);
  if (error instanceof Failure || errno === undefined) return error;
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Unavailable('The object storage is full. Free or add disk space, then try again.', {
        status: 507,
        retryAfterMs: 60_000,
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Unavailable(
        'The object storage denies access. The user that runs Millrace must be allowed to read and write its folder.',
        { code: 'storage_denied', cause: error },
      );
    case 'EMFILE':
    case 'ENFILE':
      return new Unavailable('The object storage has too many open files. Raise the limit (ulimit -n).', {
        code: 'storage_busy',
        cause: error,
      });
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ENOTEMPTY':
      return new Conflict("A key can't be the folder of another key.", {
        code: 'key_is_folder',
        cause: error,
      });
    default:
      return new Unavailable('The object storage failed to read or write. The log has the cause.', {
        code: 'storage_failed',
        cause: error,
      });
  }
}
