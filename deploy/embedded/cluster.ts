/** Creates the folder of the embedded database with initdb, and checks the version of an existing one. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { changeOwner, runAs } from './os-account.ts';
import { getBinaryPath } from './postgres-binaries.ts';
import { StartupError } from './startup-error.ts';
import type { ClusterConfig } from './cluster-config.ts';

/** @returns true when it created the folder, false when the folder existed. */
export async function ensureCluster(config: ClusterConfig, durable: boolean): Promise<boolean> {
  const { data } = config.info;
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => null);
  if (version !== null) {
    await assertVersion(config, version.trim());
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
  await createCluster(config, durable);
  return true;
}

async function assertVersion(config: ClusterConfig, major: string): Promise<void> {
  const ours = config.binaries.version.split('.')[0];
  if (major === ours) return;
  throw new StartupError(
    `The database in ${config.info.data} was created by PostgreSQL ${major}, and this Millrace has PostgreSQL ${ours}: ` +
      `dump it with pg_dump from the Millrace that created it, or set MILLRACE_HOME to a new folder.`,
  );
}

/**
 * Runs initdb in a folder of another name, which is renamed at the end. After a kill in between, the next call deletes
 * the incomplete folder.
 */
async function createCluster(config: ClusterConfig, durable: boolean): Promise<void> {
  const { account, binaries, info } = config;
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
  const result = await runAs(account, getBinaryPath(binaries, 'initdb'), [
    '-D',
    join(staging, 'data'),
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The built-in provider sorts the same way on every system. C is the only libc locale that every system has.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ]);
  if (!result.ok) {
    await rm(staging, { recursive: true, force: true });
    const line = result.output
      .trim()
      .split('\n')
      .filter((text) => text.includes('error:') || text.includes('FATAL'))
      .at(-1);
    throw new StartupError(
      `The embedded database cannot be created in ${parent}: ${line ?? result.output.trim()}. ` +
        'Fix what it names, or set DATABASE_URL to your own PostgreSQL.',
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

/** Sets the superuser's password in single-user mode, for a database whose postgres.json was lost. */
export async function resetAdminPassword(config: ClusterConfig): Promise<void> {
  const sql = `alter role postgres password '${config.info.adminPassword}'\n`;
  const result = await runAs(
    config.account,
    getBinaryPath(config.binaries, 'postgres'),
    ['--single', '-D', config.info.data, 'postgres'],
    sql,
  );
  if (!result.ok)
    throw new StartupError(`The password of ${config.info.data} cannot be set: ${result.output.trim()}`);
}
