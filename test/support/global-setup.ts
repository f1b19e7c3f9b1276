/**
 * Starts a PostgreSQL for the whole test run, unless `MILLRACE_TEST_POSTGRES_URL` names one: the embedded PostgreSQL, in a
 * temporary folder, without flushing to disk. Servers and folders of killed runs are removed first.
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

/** Stops the servers and deletes the folders of runs that have ended. */
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
  await chmod(folder, 0o711); // started by root, the server's account must enter it
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
