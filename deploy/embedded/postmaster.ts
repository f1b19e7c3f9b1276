/** The running server of one database folder: found by its pid file, proved to be ours, asked whether it answers. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import {
  getArguments,
  isRunning,
  getProcessRef,
  sendSignal,
  stopWithSignals,
  type ProcessRef,
} from './process-ref.ts';

export interface Postmaster extends ProcessRef {
  readonly args: readonly string[];
}

export type StopMode = 'smart' | 'fast' | 'immediate';

/**
 * The live server of `data`, if there is one. After a crash the pid file may name a process that has nothing to
 * do with us: Postgres would refuse to start for its sake, so such a file is removed. (Two servers on one folder
 * stay impossible: Postgres also holds a shared memory segment by the folder's inode.)
 */
export async function findPostmaster(data: string): Promise<Postmaster | null> {
  const path = join(data, 'postmaster.pid');
  const text = await readFile(path, 'utf8').catch(() => null);
  const pid = Number(text?.split('\n')[0]);
  if (text === null || !Number.isInteger(pid)) return null;
  const ref = await getProcessRef(pid);
  const args = ref && (await getArguments(pid));
  // Killed, and not yet reaped by an init that is slow or does not reap at all: Postgres would take it for alive.
  if (!ref) await rm(path, { force: true });
  if (!ref || !args) return null;
  const at = args.indexOf('-D');
  if (/postgres(\.exe)?$/.test(args[0] ?? '') && at > 0 && args[at + 1] === data) return { ...ref, args };
  await rm(path, { force: true });
  return null;
}

const signals: Record<StopMode, readonly (readonly [NodeJS.Signals, number])[]> = {
  smart: [['SIGTERM', 60_000]],
  fast: [['SIGINT', 60_000]],
  immediate: [],
};

/** Stops it in the given mode, and harder when that is not obeyed; resolves once it is gone. */
export async function stopPostmaster(ref: ProcessRef, mode: StopMode): Promise<void> {
  await sendSignal(ref, 'SIGCONT'); // one that was frozen obeys nothing but SIGKILL
  await stopWithSignals(ref, [...signals[mode], ['SIGQUIT', 10_000], ['SIGKILL', 10_000]]);
}

/**
 * Waits for the server to accept queries, however long crash recovery takes, while `alive`.
 * @returns false once the process is gone, or when `patienceMs` pass without any answer at all (a server that
 * says it is starting up does answer).
 */
export async function waitUntilReady(
  url: string,
  ref: ProcessRef | null,
  patienceMs: number,
): Promise<boolean> {
  let silentSince = Date.now();
  while (Date.now() - silentSince < patienceMs) {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: Math.min(patienceMs, 5_000),
    });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === '57P03') silentSince = Date.now();
      // Anything else that is an answer of Postgres's (a wrong password) stays so.
      else if (code && /^[0-9A-Z]{5}$/.test(code) && code !== '53300') return false;
    } finally {
      await client.end().catch(() => {});
    }
    if (ref && !(await isRunning(ref))) return false;
    await sleep(30);
  }
  return false;
}
