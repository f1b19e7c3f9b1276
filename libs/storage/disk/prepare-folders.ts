/** What the disk store does once when it is made: its folder, a trial write, and the leavings of dead processes. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { Unavailable } from '#domain';
import { getErrno, runOnDisk } from './disk-errors.ts';

/** Makes root and temporary folder; the message names the folder, as whoever starts Millrace is to mend it. */
export async function prepareFolders(root: string, temp: string): Promise<void> {
  try {
    await fs.mkdir(temp, { recursive: true, mode: 0o700 });
    await fs.access(root, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    await fs.access(temp, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    throw new Unavailable(
      `The object store's folder ${root} can't be used (${getErrno(error) ?? 'unknown error'}): ` +
        'it must be a folder that the user Millrace runs as may read and write.',
      { code: 'storage_denied', cause: error },
    );
  }
}

/**
 * Removes temporary files that nobody has written to for `staleAfterMs`: what a killed process left. A put whose
 * source stalled longer than that fails when it goes on.
 */
export async function cleanUpTempFiles(temp: string, staleAfterMs: number): Promise<number> {
  return runOnDisk(async () => {
    let swept = 0;
    for await (const entry of await fs.opendir(temp)) {
      const file = path.join(temp, entry.name);
      const stat = await fs.stat(file).catch(() => null);
      if (!stat?.isFile() || Date.now() - stat.mtimeMs <= staleAfterMs) continue;
      swept += await fs.unlink(file).then(
        () => 1,
        () => 0,
      );
    }
    return swept;
  });
}
