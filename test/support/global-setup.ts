/**
 * A PostgreSQL for the whole test run, unless `MILLRACE_TEST_POSTGRES_URL` names one: the embedded one, in a
 * folder of its own, without flushing to disk. What a killed run left behind is removed first.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { chmod, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostmaster, stopPostmaster } from '../../deploy/embedded/postmaster.ts';
import { startPostgres, type EmbeddedPostgres } from '../../deploy/embedded/postgres.ts';
import { isRunning, getProcessRef, type ProcessRef } from '../../deploy/embedded/process-ref.ts';

const prefix = 'millrace-test-postgres-';

export interface TestServer {
  readonly postgres: EmbeddedPostgres;
  readonly folder: string;
}

declare global {
  var millraceTestServer: TestServer | undefined;
}

/** Removes the folders, and stops the servers, of runs that are no more. */
async function removeStaleServers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(tmpdir(), name);
    const run = await readFile(join(folder, 'run.json'), 'utf8').then(JSON.parse, () => null);
    if (run === null || (await isRunning(run as ProcessRef))) continue;
    const server = await findPostmaster(join(folder, 'home', 'postgres'));
    if (server) await stopPostmaster(server, 'immediate');
    await rm(folder, { recursive: true, force: true });
  }
}

export default async function globalSetup(): Promise<void> {
  if (process.env['MILLRACE_TEST_POSTGRES_URL']) return;
  await removeStaleServers();
  const folder = mkdtempSync(join(tmpdir(), prefix));
  writeFileSync(join(folder, 'run.json'), JSON.stringify(await getProcessRef(process.pid)));
  await chmod(folder, 0o711); // as root, the server's account passes through it
  const postgres = await startPostgres({
    home: join(folder, 'home'),
    log: () => {},
    durable: false,
    ports: { from: 21000, to: 21499 },
    settings: { max_connections: '200', shared_buffers: '128MB' },
    fallbackFolders: [join(folder, 'outside')],
  });
  process.env['MILLRACE_TEST_POSTGRES_URL'] = postgres.adminUrl;
  globalThis.millraceTestServer = { postgres, folder };
}
