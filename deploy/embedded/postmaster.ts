/** The running server of a database folder: found by its pid file, identified by its arguments, stopped by signals. */
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
 * @returns the running server of `data`, or null. After a crash the pid file may name an unrelated process, and Postgres
 *   would then refuse to start, so such a file is deleted. Two servers on one folder stay impossible: Postgres also holds
 *   a shared memory segment that is named by the folder's inode.
 */
export async function findPostmaster(data: string): Promise<Postmaster | null> {
  const path = join(data, 'postmaster.pid');
  const text = await readFile(path, 'utf8').catch(() => null);
  const pid = Number(text?.split('\n')[0]);
  if (text === null || !Number.isInteger(pid)) return null;
  const ref = await getProcessRef(pid);
  const args = ref && (await getArguments(pid));
  // The server is a zombie while its parent (an init that is slow) has not reaped it. Postgres would take it for alive.
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

/** Stops the server in the given mode, then with SIGQUIT and SIGKILL. Resolves when it has exited. */
export async function stopPostmaster(ref: ProcessRef, mode: StopMode): Promise<void> {
  await sendSignal(ref, 'SIGCONT'); // a stopped process handles no signal but SIGKILL
  await stopWithSignals(ref, [...signals[mode], ['SIGQUIT', 10_000], ['SIGKILL', 10_000]]);
}

/**
 * Waits until the server accepts queries. Crash recovery may take any time.
 * @param silenceMs how long the server may give no answer; "starting up" counts as an answer
 * @returns false when the process has exited, or was silent for too long
 */
export async function waitUntilReady(
  url: string,
  ref: ProcessRef | null,
  silenceMs: number,
): Promise<boolean> {
  let silentSince = Date.now();
  while (Date.now() - silentSince < silenceMs) {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: Math.min(silenceMs, 5_000),
    });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === '57P03') silentSince = Date.now();
      // Other errors of Postgres, such as a wrong password, do not go away.
      else if (code && /^[0-9A-Z]{5}$/.test(code) && code !== '53300') return false;
    } finally {
      await client.end().catch(() => {});
    }
    if (ref && !(await isRunning(ref))) return false;
    await sleep(30);
  }
  return false;
}
