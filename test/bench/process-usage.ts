/** What processes cost while something runs: memory and CPU time, as Linux keeps them in /proc; elsewhere null. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const MiB = 2 ** 20;
/** Ticks of a second in /proc: `getconf CLK_TCK`, 100 on every Linux of the last decades. */
const ticks = 100;

export const canMeasure = existsSync('/proc/self/status');

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}

function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, kib] = new RegExp(`${field}:\\s+(\\d+) kB`).exec(read(pid, 'status')) ?? [];
  return (Number(kib ?? 0) * 1_024) / MiB;
}

/** MiB that a process holds now. */
export const rss = (pid: number): number => memory(pid, 'VmRSS');

/** The most that it has held since `resetPeakRss`, in MiB. */
export const peakRss = (pid: number): number => memory(pid, 'VmHWM');

/** Lets the kernel note the peak anew (proc(5), clear_refs). */
export function resetPeakRss(pid: number): void {
  if (canMeasure) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function stat(pid: number): string[] {
  const text = read(pid, 'stat');
  // The command's name stands in parentheses and may hold spaces: fields are counted from the last one.
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

const sumOf = (fields: string[], ...at: number[]) =>
  at.reduce((sum, field) => sum + Number(fields[field] ?? 0), 0);

/** Seconds of CPU that a process has used; with `family` also its children's, those that have ended included. */
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
