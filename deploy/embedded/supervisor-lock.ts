/** One supervisor per data folder. The lock file holds a pid and its start time: the lock of a dead process is free. */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from './startup-error.ts';
import { isRunning, getProcessRef, type ProcessRef } from './process-ref.ts';

export interface LockHolder extends ProcessRef {
  /** Where its API answers when it has started. */
  readonly url: string;
}

export interface SupervisorLock {
  readonly release: () => Promise<void>;
}

const getLockPath = (home: string): string => join(home, 'supervisor.lock');

async function readLockFile(path: string): Promise<LockHolder | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockHolder;
  } catch {
    return null; // There is no lock file, or a full disk left half of one.
  }
}

/** @returns the supervisor that runs on this data folder, or null. */
export async function findLockHolder(home: string): Promise<LockHolder | null> {
  const holder = await readLockFile(getLockPath(home));
  return holder && (await isRunning(holder)) ? holder : null;
}

/** @throws StartupError when another supervisor holds it. */
export async function acquireLock(home: string, url: string): Promise<SupervisorLock> {
  const path = getLockPath(home);
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, JSON.stringify({ ...(await getProcessRef(process.pid)), url }), { mode: 0o600 });
  try {
    // A link is atomic and never replaces a file: no other process can read an empty lock.
    while (!(await createLink(draft, path))) {
      const holder = await findLockHolder(home);
      if (holder) throw buildHeldError(home, holder);
      await removeStale(path);
    }
  } finally {
    await rm(draft, { force: true });
  }
  return { release: () => rm(path, { force: true }) };
}

async function createLink(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

/**
 * Moves the stale lock away, then reads it again: another supervisor may have replaced it by its own between our read
 * and the move. Such a lock is put back.
 */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString('hex')}`;
  await rename(path, aside).catch(() => {});
  const moved = await readLockFile(aside);
  if (moved && (await isRunning(moved))) await createLink(aside, path);
  await rm(aside, { force: true });
}

function buildHeldError(home: string, holder: LockHolder): StartupError {
  return new StartupError(
    `Millrace already runs on ${home} (pid ${holder.pid}, ${holder.url}): ` +
      'stop it first, or set MILLRACE_HOME to another folder (and PORT to another port).',
  );
}
