/** The embedded database's folder: made whole or not at all, and of the PostgreSQL that we bring. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { changeOwner, runAs } from './os-account.ts';
import { getBinaryPath } from './postgres-binaries.ts';
import { StartupError } from './startup-error.ts';
import type { ClusterConfig } from './cluster-config.ts';

/** @returns whether it was made just now. */
export async function ensureCluster(place: ClusterConfig, durable: boolean): Promise<boolean> {
  const { data } = place.info;
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => null);
  if (version !== null) {
    await assertVersion(place, version.trim());
    return false;
  }
  if (
    await stat(data).then(
      () => true,
      () => false,
    )
  ) {
    throw new StartupError(
      `${data} exists but holds no PostgreSQL database: move it away, then start again.`,
    );
  }
  await createCluster(place, durable);
  return true;
}

async function assertVersion(place: ClusterConfig, major: string): Promise<void> {
  const ours = place.binaries.version.split('.')[0];
  if (major === ours) return;
  throw new StartupError(
    `The database in ${place.info.data} is of PostgreSQL ${major}, and this Millrace brings PostgreSQL ${ours}: ` +
      `start it with the Millrace that made it and dump it with pg_dump, or set MILLRACE_HOME to a new folder.`,
  );
}

/**
 * initdb into a folder of another name, renamed when it is done: a kill in the middle leaves rubbish, which the
 * next call removes, but never half a database.
 */
async function createCluster(place: ClusterConfig, durable: boolean): Promise<void> {
  const { account, binaries, info } = place;
  const parent = dirname(info.data);
  const prefix = `${basename(info.data)}.new-`;
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true });
  }
  const staging = join(parent, prefix + randomBytes(4).toString('hex'));
  await mkdir(staging, { mode: 0o700 });
  await chmod(staging, 0o700);
  const passwordFile = join(staging, 'password');
  await writeFile(passwordFile, info.adminPassword, { mode: 0o600 });
  await changeOwner(account, passwordFile);
  await changeOwner(account, staging);
  const made = await runAs(account, getBinaryPath(binaries, 'initdb'), [
    '-D',
    join(staging, 'data'),
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The built-in provider gives the same order on every system; libc's C is the one locale that each has.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ]);
  if (!made.ok) {
    await rm(staging, { recursive: true, force: true });
    const line = made.output
      .trim()
      .split('\n')
      .filter((text) => text.includes('error:') || text.includes('FATAL'))
      .at(-1);
    throw new StartupError(
      `The embedded database can't be made in ${parent}: ${line ?? made.output.trim()}. ` +
        'Free what it names, or set DATABASE_URL to a PostgreSQL of yours.',
    );
  }
  await rename(join(staging, 'data'), info.data);
  if (durable) await syncFolder(parent);
  await rm(staging, { recursive: true, force: true });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/** Gives the superuser the note's password, in single-user mode: for a database whose note was lost. */
export async function resetAdminPassword(place: ClusterConfig): Promise<void> {
  const sql = `alter role postgres password '${place.info.adminPassword}'\n`;
  const done = await runAs(
    place.account,
    getBinaryPath(place.binaries, 'postgres'),
    ['--single', '-D', place.info.data, 'postgres'],
    sql,
  );
  if (!done.ok)
    throw new StartupError(`The password of ${place.info.data} can't be set: ${done.output.trim()}`);
}
