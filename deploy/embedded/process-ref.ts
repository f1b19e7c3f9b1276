/**
 * Processes that may not be our children. They are identified by pid and start time, because the system reuses pids and
 * the supervisor signals processes that an earlier supervisor recorded.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessRef {
  readonly pid: number;
  /** Opaque. Two values are equal only for the same process of the same boot. */
  readonly startTime: string;
}

async function ps(pid: number, column: string): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(
      'ps',
      ['-ww', '-o', `${column}=`, '-p', String(pid)],
      { env: { ...process.env, LC_ALL: 'C' } },
      (error, out) => resolve(error || out.trim() === '' ? null : out.trim()),
    );
  });
}

let boot: Promise<string> | undefined;
function bootId(): Promise<string> {
  boot ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (id) => id.trim(),
    () => 'unknown',
  );
  return boot;
}

/** @returns null when there is no such process, or it is a zombie. */
export async function getStartTime(pid: number): Promise<string | null> {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  if (process.platform !== 'linux') {
    const state = await ps(pid, 'state');
    return state === null || state.startsWith('Z') ? null : ps(pid, 'lstart');
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (stat === null) return null;
  // The command's name is in parentheses and may contain spaces and parentheses: fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : `${await bootId()}/${fields[19]}`;
}

/** @returns the arguments of the process, or null when it has exited or may not be read. */
export async function getArguments(pid: number): Promise<readonly string[] | null> {
  if (process.platform !== 'linux') return (await ps(pid, 'command'))?.split(' ') ?? null;
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line === '' ? null : line.replace(/\0$/, '').split('\0');
}

export async function getProcessRef(pid: number): Promise<ProcessRef | null> {
  const startTime = await getStartTime(pid);
  return startTime === null ? null : { pid, startTime };
}

export async function isRunning(ref: ProcessRef): Promise<boolean> {
  return (await getStartTime(ref.pid)) === ref.startTime;
}

/** @returns whether it exited within `ms`. */
export async function waitForExit(ref: ProcessRef, ms: number): Promise<boolean> {
  const end = Date.now() + ms;
  while (await isRunning(ref)) {
    if (Date.now() >= end) return false;
    await sleep(20);
  }
  return true;
}

/** Signals the process, or its whole group. @returns false when it had already exited. */
export async function sendSignal(ref: ProcessRef, name: NodeJS.Signals, group = false): Promise<boolean> {
  if (!(await isRunning(ref))) return false;
  try {
    process.kill(group ? -ref.pid : ref.pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Sends one signal after the other and waits `ms` after each. @returns whether the process exited. */
export async function stopWithSignals(
  ref: ProcessRef,
  steps: readonly (readonly [NodeJS.Signals, number])[],
): Promise<boolean> {
  for (const [name, ms] of steps) {
    if (!(await sendSignal(ref, name)) || (await waitForExit(ref, ms))) return true;
  }
  return !(await isRunning(ref));
}
