/** Stops the PostgreSQL of global-setup. */
import { rm } from 'node:fs/promises';
import './global-setup.ts';

export default async function globalTeardown(): Promise<void> {
  const server = globalThis.millraceTestServer;
  if (!server) return;
  await server.postgres.stop('immediate');
  await rm(server.folder, { recursive: true, force: true });
}
