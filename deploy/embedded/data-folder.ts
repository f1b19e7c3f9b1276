/** Creates the data folder, and checks that it is writable and was not written by a newer Millrace. */
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRoot } from './os-account.ts';
import { StartupError } from './startup-error.ts';

/** Raise it when the layout of the folder changes, so that an older release refuses the folder. */
const format = 1;

export async function createDataFolder(home: string): Promise<void> {
  await mkdir(dirname(home), { recursive: true });
  const created = await mkdir(home, { mode: 0o700 }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
  // The account of Postgres must pass through it to the database. It can read nothing else there.
  if (created && isRoot()) {
    const folder = await open(home, 'r');
    await folder.chmod(0o711).finally(() => folder.close());
  }
}

/** @throws StartupError when the folder cannot be used, with what to do about it. */
export async function openDataFolder(home: string): Promise<void> {
  try {
    await createDataFolder(home);
    const probe = join(home, `.probe-${process.pid}`);
    await writeFile(probe, 'x');
    await rm(probe);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StartupError(
      `The data folder ${home} cannot be written (${code ?? String(error)}): ` +
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
    // Two supervisors may start at once: the lock is taken later.
    const draft = `${path}.${process.pid}`;
    await writeFile(draft, `${JSON.stringify({ format })}\n`);
    await rename(draft, path);
    return;
  }
  const found = parseFormat(text);
  if (found === null) {
    throw new StartupError(
      `${path} is damaged: it must contain {"format":${format}}. Restore it from a backup.`,
    );
  }
  if (found > format) {
    throw new StartupError(
      `The data folder ${home} was written by a newer Millrace (format ${found}, this one supports ${format}): ` +
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
