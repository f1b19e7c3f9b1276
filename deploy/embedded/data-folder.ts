/** The data folder: made, writable, and not written by a newer Millrace. */
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRoot } from './os-account.ts';
import { StartupError } from './startup-error.ts';

/** Raised when a release lays the folder out anew, so that an older one refuses it. */
const format = 1;

export async function createDataFolder(home: string): Promise<void> {
  await mkdir(dirname(home), { recursive: true });
  const made = await mkdir(home, { mode: 0o700 }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
  // Another account must pass through it to the database. Nothing else in it is readable to that account.
  if (made && isRoot()) {
    const folder = await open(home, 'r');
    await folder.chmod(0o711).finally(() => folder.close());
  }
}

/** @throws CannotStart when it can't be used, with what to do about it. */
export async function openDataFolder(home: string): Promise<void> {
  try {
    await createDataFolder(home);
    const probe = join(home, `.probe-${process.pid}`);
    await writeFile(probe, 'x');
    await rm(probe);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StartupError(
      `The data folder ${home} can't be written (${code ?? String(error)}): ` +
        'make it writable for the user that starts Millrace, or set MILLRACE_HOME to another folder.',
      { cause: error },
    );
  }
  await assertFormat(home);
}

async function assertFormat(home: string): Promise<void> {
  const path = join(home, 'version');
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) {
    await writeFile(`${path}.new`, `${JSON.stringify({ format })}\n`);
    await rename(`${path}.new`, path);
    return;
  }
  const found = parseFormat(text);
  if (found === null) {
    throw new StartupError(
      `${path} is damaged: it should hold {"format":${format}}; restore it from a backup.`,
    );
  }
  if (found > format) {
    throw new StartupError(
      `The data folder ${home} was written by a newer Millrace (format ${found}, this one knows ${format}): ` +
        'start that release, or set MILLRACE_HOME to another folder.',
    );
  }
}

function parseFormat(text: string): number | null {
  try {
    const { format: found } = JSON.parse(text) as { format?: unknown };
    return typeof found === 'number' ? found : null;
  } catch {
    return null;
  }
}
