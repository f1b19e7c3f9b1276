/** The peak memory of a process while a test runs. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ManagedProcess } from './platform.ts';

const MiB = 2 ** 20;

/** Starts a measurement. @returns a function that returns the peak since then, in MiB above the start */
export function measurePeakMemory({ child }: ManagedProcess): () => number {
  const before = readRss(child.pid!);
  // Linux records the peak, and 5 resets it (proc(5)). On other systems the value at the end is used.
  const clear = `/proc/${child.pid}/clear_refs`;
  if (existsSync(clear)) writeFileSync(clear, '5');
  return () => (readPeakRss(child.pid!) - before) / MiB;
}

function readPeakRss(pid: number): number {
  const status = `/proc/${pid}/status`;
  const [, kib] = existsSync(status) ? (/VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8')) ?? []) : [];
  return kib ? Number(kib) * 1_024 : readRss(pid);
}

function readRss(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1_024;
}
