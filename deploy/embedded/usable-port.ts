/** A free port for the API. The database needs no such port, so its files (tcp-ports.ts) import nothing of the settings. */
import { isBlockedPort } from '#config';
import { findSystemPort } from './tcp-ports.ts';

/** @returns a free port that the system chooses, and that the Fetch standard does not block. */
export async function findUsablePort(host: string): Promise<number> {
  const port = await findSystemPort(host);
  return isBlockedPort(port) ? findUsablePort(host) : port;
}
