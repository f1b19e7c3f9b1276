/** Reads memory and CPU time of processes from /proc. Linux only; elsewhere `canMeasure` is false. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const MiB = 2 ** 20;
/** Ticks per second in /proc (`getconf CLK_TCK`): 100 on every current Linux. */
const ticks = 100;

export const canMeasure = existsSync('/proc/self/status');

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return ''; // The process has exited.
  }
}

function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, kib] = new RegExp(`${field}:\\s+(\\d+) kB`).exec(read(pid, 'status')) ?? [];
  return (Number(kib ?? 0) * 1_024) / MiB;
}

/** @returns resident memory of a process in MiB. */
export const rss = (pid: number): number => memory(pid, 'VmRSS');

/** @returns peak resident memory since `resetPeakRss`, in MiB. */
export const peakRss = (pid: number): number => memory(pid, 'VmHWM');

/** Resets the peak that the kernel records (proc(5), clear_refs). */
export function resetPeakRss(pid: number): void {
  if (canMeasure) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function stat(pid: number): string[] {
  const text = read(pid, 'stat');
  // The command name is in parentheses and may contain spaces: parse after the last parenthesis.
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

const sumOf = (fields: string[], ...at: number[]) =>
  at.reduce((sum, field) => sum + Number(fields[field] ?? 0), 0);

/** @returns CPU seconds of a process; with `family` also those of its children, exited ones included. */
export function cpuSeconds(pid: number, family = false): number {
  if (!canMeasure) return 0;
  if (!family) return sumOf(stat(pid), 11, 12) / ticks;
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const ofChildren = children
    .map((name) => stat(Number(name)))
    .filter((fields) => Number(fields[1]) === pid)
    .reduce((sum, fields) => sum + sumOf(fields, 11, 12), 0);
  return (sumOf(stat(pid), 11, 12, 13, 14) + ofChildren) / ticks;
}
