/** The most memory a process took while something ran. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ManagedProcess } from './platform.ts';

const MiB = 2 ** 20;

/** Begins anew to watch a process. @returns how many MiB above its beginning it has been since. */
export function measurePeakMemory({ child }: ManagedProcess): () => number {
  const before = readRss(child.pid!);
  // Linux keeps the peak itself and forgets it when told 5 (proc(5)); elsewhere what is taken at the end must do.
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
