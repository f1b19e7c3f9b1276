/** Prepares the folders of the disk storage at start and removes temporary files of processes that died. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { Unavailable } from '#domain';
import { getErrno, runOnDisk } from './disk-errors.ts';

/** Creates the root and the temporary folder. The error has the path, because an operator reads it. */
export async function prepareFolders(root: string, temp: string): Promise<void> {
  try {
    await fs.mkdir(temp, { recursive: true, mode: 0o700 });
    await fs.access(root, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    await fs.access(temp, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    throw new Unavailable(
      `The folder ${root} of the object storage can't be used (${getErrno(error) ?? 'unknown error'}): ` +
        'the user that runs Millrace must be allowed to read and write it.',
      { code: 'storage_denied', cause: error },
    );
  }
}

/**
 * Removes temporary files that were last written more than `staleAfterMs` ago: a killed process left them. A put whose
 * body stalled for longer fails when the body continues.
 * @returns how many were removed
 */
export async function cleanUpTempFiles(temp: string, staleAfterMs: number): Promise<number> {
  return runOnDisk(async () => {
    let removed = 0;
    for await (const entry of await fs.opendir(temp)) {
      const file = path.join(temp, entry.name);
      const stat = await fs.stat(file).catch(() => null);
      if (!stat?.isFile() || Date.now() - stat.mtimeMs <= staleAfterMs) continue;
      removed += await fs.unlink(file).then(
        () => 1,
        () => 0,
      );
    }
    return removed;
  });
}
