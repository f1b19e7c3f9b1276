/**
 * The operating system account that runs Postgres, which refuses to run as root. Started by root, it runs as another
 * user, or, where the kernel forbids a change of user, in a user namespace that shows it another uid.
 */
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { chown, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';

export type OsAccount =
  | { readonly kind: 'self' }
  | { readonly kind: 'other'; readonly uid: number; readonly gid: number }
  /** Postgres sees `uid` and `gid`. For the system it runs as the user who started Millrace. */
  | { readonly kind: 'namespace'; readonly uid: number; readonly gid: number };

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export const isRoot = (): boolean => process.getuid?.() === 0;

async function readPasswdEntries(): Promise<PasswdEntry[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

/** @returns the accounts that root may use, best first. Each is in /etc/passwd: initdb looks up its user's name. */
export async function listCandidateAccounts(): Promise<OsAccount[]> {
  const known = (await readPasswdEntries()).filter(({ uid }) => uid !== 0);
  const named = ['postgres', 'nobody', 'daemon'].flatMap((name) =>
    known.filter((entry) => entry.name === name),
  );
  const others = isRoot() ? named.map(({ uid, gid }): OsAccount => ({ kind: 'other', uid, gid })) : [];
  const shown = named[0] ?? known[0];
  return shown ? [...others, { kind: 'namespace', uid: shown.uid, gid: shown.gid }] : others;
}

/** @returns the account that owns an existing database, or null. Postgres accepts no other account for it. */
export async function findOwnerAccount(folder: { uid: number; gid: number }): Promise<OsAccount | null> {
  if (folder.uid === process.getuid?.()) {
    if (folder.uid !== 0 && hasUserName()) return { kind: 'self' };
    return (await listCandidateAccounts()).find(({ kind }) => kind === 'namespace') ?? null;
  }
  return isRoot() ? { kind: 'other', uid: folder.uid, gid: folder.gid } : null;
}

/** Containers often run with a uid that has no user name; initdb refuses to run with such a uid. */
export function hasUserName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

function buildCommand(account: OsAccount, command: string, args: readonly string[]): [string, string[]] {
  if (account.kind !== 'namespace') return [command, [...args]];
  return [
    'unshare',
    ['--user', `--map-user=${account.uid}`, `--map-group=${account.gid}`, '--', command, ...args],
  ];
}

function buildSpawnOptions<O extends SpawnOptions>(account: OsAccount, options: O): O {
  // Without the caller's LANG and LC_*: they would choose the language of messages and the encoding of initdb.
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const { uid, gid } = account.kind === 'other' ? account : { uid: undefined, gid: undefined };
  return { env, uid, gid, cwd: '/', ...options };
}

export function spawnAs(
  account: OsAccount,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const [file, all] = buildCommand(account, command, args);
  return spawn(file, all, buildSpawnOptions(account, options));
}

export interface CommandResult {
  readonly ok: boolean;
  readonly output: string;
}

export async function runAs(
  account: OsAccount,
  command: string,
  args: readonly string[],
  input = '',
): Promise<CommandResult> {
  const child = spawnAs(account, command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()));
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** Whether this process may run programs as the account (needs CAP_SETUID or user namespaces). */
export function canRunAs(account: OsAccount): boolean {
  const [file, args] = buildCommand(account, '/bin/sh', ['-c', ':']);
  return spawnSync(file, args, buildSpawnOptions(account, { stdio: 'ignore' })).status === 0;
}

export async function canEnterFolder(account: OsAccount, folder: string): Promise<boolean> {
  return (await runAs(account, '/bin/sh', ['-c', 'cd "$1"', 'sh', folder])).ok;
}

export async function changeOwner(account: OsAccount, path: string): Promise<void> {
  if (account.kind === 'other') await chown(path, account.uid, account.gid);
}
