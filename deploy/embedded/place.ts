/**
 * Where the embedded database lies, who runs it and with which binaries: settled once, before it is made, and
 * written down in the data folder (`postgres.json`, mode 0600) with the port and the passwords.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { chmod, lstat, mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  candidates,
  canBecome,
  canEnter,
  giveTo,
  hasName,
  isRoot,
  ownerOf,
  runAs,
  type Account,
} from './account.ts';
import { binary, copyBinaries, findBinaries, type Binaries } from './binaries.ts';
import { CannotStart } from './cannot-start.ts';
import type { PortRange } from './ports.ts';

/** `postgres.json`. */
export interface Note {
  /** The database's folder: under the data folder, unless the account that runs it can't enter that. */
  readonly data: string;
  readonly port: number;
  /** Of the superuser `postgres`, who only makes the database. */
  readonly adminPassword: string;
  /** Of `millrace`, who owns it: not a superuser, so that row-level security can bind it. */
  readonly password: string;
}

export interface Place {
  readonly account: Account;
  readonly binaries: Binaries;
  readonly note: Note;
  /** The note was just made; whatever lies in `note.data` doesn't know its passwords. */
  readonly fresh: boolean;
}

export interface PlaceOptions {
  readonly home: string;
  readonly ports: PortRange;
  /** Folders for what can't lie in the data folder, first usable one. */
  readonly outside: readonly string[];
}

const missing = (error: NodeJS.ErrnoException): null => {
  if (error.code === 'ENOENT') return null;
  throw error;
};

export async function writeNote(home: string, note: Note): Promise<void> {
  const path = join(home, 'postgres.json');
  const file = await open(`${path}.new`, 'w', 0o600);
  await file.writeFile(`${JSON.stringify(note, null, 2)}\n`);
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
}

async function readNote(home: string): Promise<Note | null> {
  const text = await readFile(join(home, 'postgres.json'), 'utf8').catch(missing);
  if (text === null) return null;
  try {
    return JSON.parse(text) as Note;
  } catch (error) {
    throw new CannotStart(
      `${join(home, 'postgres.json')} is damaged: restore it, or remove it and it is made anew.`,
      { cause: error },
    );
  }
}

/** An existing database keeps its owner and its folder; a new one is put where its account can enter. */
export async function settle(options: PlaceOptions): Promise<Place> {
  const found = await findBinaries();
  const known = await readNote(options.home);
  const beside = join(options.home, 'postgres');
  const data = known?.data ?? beside;
  const owner = await stat(data).catch(missing);
  if (owner) {
    const account = await ownerOf(owner);
    if (!account || !canBecome(account)) throw notOurs(data, owner.uid);
    const binaries = await usable(found, account, options);
    if (!binaries) throw cannotRun((await runAs(account, binary(found, 'postgres'), ['--version'])).output);
    return { account, binaries, ...(await noted(options, data, known)) };
  }

  let why = 'no account can be taken';
  for (const account of isRoot() || !hasName() ? await candidates() : [{ kind: 'self' } as const]) {
    if (!canBecome(account)) continue;
    const binaries = await usable(found, account, options);
    if (!binaries) {
      why = (await runAs(account, binary(found, 'postgres'), ['--version'])).output;
      continue;
    }
    const folder = (await canEnter(account, options.home)) ? beside : await folderOutside(account, options);
    if (!folder) {
      why = `${options.home} can't be entered by the account that would run it`;
      continue;
    }
    return { account, binaries, ...(await noted(options, folder, known)) };
  }
  throw cannotRun(why);
}

function notOurs(data: string, uid: number): CannotStart {
  return new CannotStart(
    `The database in ${data} belongs to another user (uid ${uid}): start Millrace as that user, ` +
      'or set MILLRACE_HOME to a folder of your own.',
  );
}

function cannotRun(why: string): CannotStart {
  const line = why.trim().split('\n').at(-1);
  return new CannotStart(
    `The embedded PostgreSQL can't run here (${line}): ` +
      'start Millrace as an ordinary user, or set DATABASE_URL to a PostgreSQL of yours.',
  );
}

async function noted(
  options: PlaceOptions,
  data: string,
  known: Note | null,
): Promise<{ note: Note; fresh: boolean }> {
  const note: Note = {
    port: known?.port ?? randomInt(options.ports.from, options.ports.to + 1),
    adminPassword: known?.adminPassword ?? randomBytes(24).toString('base64url'),
    password: known?.password ?? randomBytes(24).toString('base64url'),
    data,
  };
  if (known?.data !== data) await writeNote(options.home, note);
  return { note, fresh: known === null };
}

/** The binaries where they are, or a copy of them; null when this account can run neither. */
async function usable(found: Binaries, account: Account, options: PlaceOptions): Promise<Binaries | null> {
  const runs = async (binaries: Binaries): Promise<boolean> =>
    (await runAs(account, binary(binaries, 'initdb'), ['--version'])).ok &&
    (await runAs(account, binary(binaries, 'postgres'), ['--version'])).ok;
  if (!found.incomplete && (await runs(found))) return found;
  const inHome = account.kind !== 'other' || (await canEnter(account, options.home));
  const place = inHome ? options.home : await outside(options);
  if (!place) return null;
  const copy = await copyBinaries(found, place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' || error.code === 'EROFS') return null;
    throw error;
  });
  return copy && (await runs(copy)) ? copy : null;
}

/** A folder outside that nobody else can write to: what lies there is run by another account on root's behalf. */
async function outside(options: PlaceOptions): Promise<string | null> {
  for (const place of options.outside) {
    try {
      await mkdir(place, { recursive: true });
      const { uid, mode } = await lstat(place);
      if (uid !== process.getuid?.()) continue;
      // Set apart from mkdir's mode, which the umask narrows.
      if ((mode & 0o777) !== 0o755) await chmod(place, 0o755);
      return place;
    } catch {
      continue;
    }
  }
  return null;
}

async function folderOutside(account: Account, options: PlaceOptions): Promise<string | null> {
  const place = await outside(options);
  if (!place) return null;
  // The random part keeps a data folder that was removed and made again from finding the old one's database.
  const name = createHash('sha256').update(options.home).digest('hex').slice(0, 12);
  const folder = join(place, `${name}-${randomBytes(4).toString('hex')}`);
  await mkdir(folder, { mode: 0o711 });
  await chmod(folder, 0o711);
  await giveTo(account, folder);
  return (await canEnter(account, folder)) ? join(folder, 'postgres') : null;
}
