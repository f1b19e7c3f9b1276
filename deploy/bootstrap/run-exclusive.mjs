/** A lock between scripts that are started at the same moment, so that only one of them installs or builds. */
import { createHash } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJson, root } from './paths.mjs';

const maxHoldMs = 15 * 60_000;

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Runs `work` while no other process runs its own. The lock of a process that was killed does not count. */
export async function runExclusive(work) {
  const hash = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const lock = join(tmpdir(), `millrace-build-${process.getuid?.() ?? 'user'}-${hash}.lock`);
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readJson(lock));
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    // A fresh lock may be empty for a moment: its holder writes its pid after it creates the file.
    if (age > 1_000 && (!holder || !isAlive(holder) || age > maxHoldMs)) rmSync(lock, { force: true });
    else await sleep(100);
  }
  const release = () => rmSync(lock, { force: true });
  process.on('exit', release);
  await work();
  process.off('exit', release);
  release();
}
