/**
 * Makes an admin key for the operator who holds the data folder and the settings, and writes it to credentials.json.
 * `npm start -- --new-key` runs it; a deployment without the supervisor runs it by hand.
 */
import 'reflect-metadata';
import { exitAfterFailedStart, getPublicUrl, loadAppConfigOrExit } from '#config';
import { AccessStore, Database } from '#database';
import { createLogger } from '#telemetry';
import { createAdminKey, createFirstWorkspace } from './access/create-first-workspace.ts';

const config = loadAppConfigOrExit();
const url = getPublicUrl(config);
const home = config.MILLRACE_HOME;

async function makeKey(): Promise<string> {
  const database = await Database.connect({
    url: config.DATABASE_URL,
    poolMax: 2,
    applicationName: 'millrace-new-key',
  });
  try {
    const access = new AccessStore(database);
    const result = await createFirstWorkspace(access, home, url);
    if (result === 'created') return 'credentials.json has the first API key of this database';
    const key = await createAdminKey(access, home, url);
    if (key === null) throw new Error('the workspace that operates the instance has no active owner');
    return `new API key: ${key}`;
  } finally {
    await database.close();
  }
}

await makeKey().then(
  (text) => {
    // The supervisor prints the key itself, so that it is not in its log.
    if (!process.send) process.stdout.write(`${text}\n`);
  },
  (error: unknown) => exitAfterFailedStart(error, createLogger('new-key', config.LOG_LEVEL)),
);
