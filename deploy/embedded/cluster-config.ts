/**
 * The configuration of the embedded database: its folder, the account that runs it, and the binaries. It is decided
 * before the database is created. The folder, the port and the passwords are saved to postgres.json (mode 0600) in the
 * data folder.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { chmod, lstat, mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  listCandidateAccounts,
  canRunAs,
  canEnterFolder,
  changeOwner,
  hasUserName,
  isRoot,
  findOwnerAccount,
  runAs,
  type OsAccount,
} from './os-account.ts';
import {
  getBinaryPath,
  copyPostgresBinaries,
  findPostgresBinaries,
  type PostgresBinaries,
} from './postgres-binaries.ts';
import { StartupError } from './startup-error.ts';
import type { PortRange } from './tcp-ports.ts';

/** The content of postgres.json. */
export interface ClusterInfo {
  /** The database's folder: below the data folder, unless the account that runs the server cannot enter that. */
  readonly data: string;
  readonly port: number;
  /** Of the superuser `postgres`, who only creates the role and the database. */
  readonly adminPassword: string;
  /** Of `millrace`, the owner of the database. It is not a superuser, so row-level security applies to it. */
  readonly password: string;
}

export interface ClusterConfig {
  readonly account: OsAccount;
  readonly binaries: PostgresBinaries;
  readonly info: ClusterInfo;
  /** postgres.json was just created: a database that already exists in `info.data` has other passwords. */
  readonly isNewInfo: boolean;
}

export interface ClusterConfigOptions {
  readonly home: string;
  readonly ports: PortRange;
  /** Where the database goes when its account cannot enter the data folder. The first usable one is taken. */
  readonly fallbackFolders: readonly string[];
}

const returnNullIfMissing = (error: NodeJS.ErrnoException): null => {
  if (error.code === 'ENOENT') return null;
  throw error;
};

export async function saveClusterInfo(home: string, info: ClusterInfo): Promise<void> {
  const path = join(home, 'postgres.json');
  const file = await open(`${path}.new`, 'w', 0o600);
  await file.writeFile(`${JSON.stringify(info, null, 2)}\n`);
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
}

export async function readClusterInfo(home: string): Promise<ClusterInfo | null> {
  const text = await readFile(join(home, 'postgres.json'), 'utf8').catch(returnNullIfMissing);
  if (text === null) return null;
  try {
    return JSON.parse(text) as ClusterInfo;
  } catch (error) {
    throw new StartupError(
      `${join(home, 'postgres.json')} is damaged: restore it, or remove it so that it is created again.`,
      { cause: error },
    );
  }
}

/** An existing database keeps its owner and its folder. A new one goes to a folder that its account can enter. */
export async function resolveClusterConfig(options: ClusterConfigOptions): Promise<ClusterConfig> {
  const found = await findPostgresBinaries();
  const known = await readClusterInfo(options.home);
  const defaultData = join(options.home, 'postgres');
  const data = known?.data ?? defaultData;
  const owner = await stat(data).catch(returnNullIfMissing);
  if (owner) {
    const account = await findOwnerAccount(owner);
    if (!account || !canRunAs(account)) throw buildNotOwnedError(data, owner.uid);
    const binaries = await findUsableBinaries(found, account, options);
    if (!binaries)
      throw buildCannotRunError(
        (await runAs(account, getBinaryPath(found, 'postgres'), ['--version'])).output,
      );
    return { account, binaries, ...(await resolveClusterInfo(options, data, known)) };
  }

  let reason = 'no account can be used';
  for (const account of isRoot() || !hasUserName()
    ? await listCandidateAccounts()
    : [{ kind: 'self' } as const]) {
    if (!canRunAs(account)) continue;
    const binaries = await findUsableBinaries(found, account, options);
    if (!binaries) {
      reason = (await runAs(account, getBinaryPath(found, 'postgres'), ['--version'])).output;
      continue;
    }
    const folder = (await canEnterFolder(account, options.home))
      ? defaultData
      : await createDataFolderInFallback(account, options);
    if (!folder) {
      reason = `${options.home} cannot be entered by the account that would run it`;
      continue;
    }
    return { account, binaries, ...(await resolveClusterInfo(options, folder, known)) };
  }
  throw buildCannotRunError(reason);
}

function buildNotOwnedError(data: string, uid: number): StartupError {
  return new StartupError(
    `The database in ${data} belongs to another user (uid ${uid}): start Millrace as that user, ` +
      'or set MILLRACE_HOME to a folder of your own.',
  );
}

function buildCannotRunError(reason: string): StartupError {
  const line = reason.trim().split('\n').at(-1);
  return new StartupError(
    `The embedded PostgreSQL cannot run here (${line}): ` +
      'start Millrace as an ordinary user, or set DATABASE_URL to your own PostgreSQL.',
  );
}

async function resolveClusterInfo(
  options: ClusterConfigOptions,
  data: string,
  known: ClusterInfo | null,
): Promise<{ info: ClusterInfo; isNewInfo: boolean }> {
  const info: ClusterInfo = {
    port: known?.port ?? randomInt(options.ports.from, options.ports.to + 1),
    adminPassword: known?.adminPassword ?? randomBytes(24).toString('base64url'),
    password: known?.password ?? randomBytes(24).toString('base64url'),
    data,
  };
  if (known?.data !== data) await saveClusterInfo(options.home, info);
  return { info, isNewInfo: known === null };
}

/** @returns the installed binaries, or a copy of them, or null when this account can run neither. */
async function findUsableBinaries(
  found: PostgresBinaries,
  account: OsAccount,
  options: ClusterConfigOptions,
): Promise<PostgresBinaries | null> {
  const runs = async (binaries: PostgresBinaries): Promise<boolean> =>
    (await runAs(account, getBinaryPath(binaries, 'initdb'), ['--version'])).ok &&
    (await runAs(account, getBinaryPath(binaries, 'postgres'), ['--version'])).ok;
  if (!found.lacksLinks && (await runs(found))) return found;
  const inHome = account.kind !== 'other' || (await canEnterFolder(account, options.home));
  const place = inHome ? options.home : await createFallbackFolder(options);
  if (!place) return null;
  const copy = await copyPostgresBinaries(found, place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' || error.code === 'EROFS') return null;
    throw error;
  });
  return copy && (await runs(copy)) ? copy : null;
}

/** A folder that only this user can write to: another account runs the binaries in it for root. */
async function createFallbackFolder(options: ClusterConfigOptions): Promise<string | null> {
  for (const place of options.fallbackFolders) {
    try {
      await mkdir(place, { recursive: true });
      const { uid, mode } = await lstat(place);
      if (uid !== process.getuid?.()) continue;
      // Set after mkdir, because the umask removes bits from the mode that mkdir gets.
      if ((mode & 0o777) !== 0o755) await chmod(place, 0o755);
      return place;
    } catch {
      continue;
    }
  }
  return null;
}

async function createDataFolderInFallback(
  account: OsAccount,
  options: ClusterConfigOptions,
): Promise<string | null> {
  const place = await createFallbackFolder(options);
  if (!place) return null;
  // The random part: a data folder that was deleted and created again must not find its old database.
  const name = createHash('sha256').update(options.home).digest('hex').slice(0, 12);
  const folder = join(place, `${name}-${randomBytes(4).toString('hex')}`);
  await mkdir(folder, { mode: 0o711 });
  await chmod(folder, 0o711);
  await changeOwner(account, folder);
  return (await canEnterFolder(account, folder)) ? join(folder, 'postgres') : null;
}
