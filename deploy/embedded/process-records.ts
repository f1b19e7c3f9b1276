/**
 * The processes that run on a data folder, recorded in run/NAME.json. After a kill of the supervisor, the next start stops
 * them. A fault run finds in it the process to kill.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunning, getProcessRef, sendSignal, waitForExit, type ProcessRef } from './process-ref.ts';

export interface ProcessRecord extends ProcessRef {
  readonly name: string;
  readonly argv: readonly string[];
}

const getRecordFolder = (home: string): string => join(home, 'run');

export async function saveProcessRecord(
  home: string,
  name: string,
  pid: number,
  argv: readonly string[],
): Promise<void> {
  const ref = await getProcessRef(pid);
  if (!ref) return;
  const path = join(getRecordFolder(home), `${name}.json`);
  await mkdir(getRecordFolder(home), { recursive: true });
  await writeFile(`${path}.new`, JSON.stringify({ name, ...ref, argv }));
  await rename(`${path}.new`, path);
}

export async function deleteProcessRecord(home: string, name: string): Promise<void> {
  await rm(join(getRecordFolder(home), `${name}.json`), { force: true });
}

export async function listProcessRecords(home: string): Promise<ProcessRecord[]> {
  const names = await readdir(getRecordFolder(home)).catch(() => []);
  const records: ProcessRecord[] = [];
  for (const name of names.filter((file) => file.endsWith('.json'))) {
    try {
      records.push(JSON.parse(await readFile(join(getRecordFolder(home), name), 'utf8')) as ProcessRecord);
    } catch {
      // A full disk left half of it, or it was just deleted.
    }
  }
  return records;
}

/**
 * Stops the processes that a killed supervisor left, except for Postgres, which is adopted. They are already stopping,
 * because they noticed its end. Their running work is redelivered, so they get only `graceMs` to finish.
 */
export async function stopOrphans(home: string, graceMs: number, log: (line: string) => void): Promise<void> {
  const orphans = (await listProcessRecords(home)).filter(({ name }) => name !== 'postgres');
  await Promise.all(
    orphans.map(async (orphan) => {
      if (await isRunning(orphan)) {
        log(`stopping ${orphan.name} of an earlier start (pid ${orphan.pid})`);
        await sendSignal(orphan, 'SIGCONT');
        await sendSignal(orphan, 'SIGTERM');
        if (!(await waitForExit(orphan, graceMs))) {
          await sendSignal(orphan, 'SIGKILL', true);
          await waitForExit(orphan, 5_000);
        }
      }
      await deleteProcessRecord(home, orphan.name);
    }),
  );
}
