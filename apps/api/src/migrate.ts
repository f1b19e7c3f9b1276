/**
 * Runs before the apps start: checks that Postgres, Redis and the object storage can be used, and migrates the database
 * (and the queue's schema, if the queue is in Postgres) to this release.
 */
import 'reflect-metadata';
import {
  buildObjectStorageOptions,
  ConfigError,
  exitAfterFailedStart,
  loadAppConfigOrExit,
  type AppConfig,
} from '#config';
import { Database } from '#database';
import { assertQueueBackendUsable, migrateQueues } from '#queues';
import { createObjectStorage } from '#storage';
import { createLogger } from '#telemetry';

const config = loadAppConfigOrExit();
const log = createLogger('migrate', config.LOG_LEVEL);

async function checkServices({ queueBackend, REDIS_URL, ...settings }: AppConfig): Promise<void> {
  const url = REDIS_URL ?? settings.DATABASE_URL;
  for (const warning of await assertQueueBackendUsable({ kind: queueBackend, url })) log.warn(warning);
  // The object storage checks itself when it opens.
  const objects = await createObjectStorage(buildObjectStorageOptions(settings));
  await objects.close();
}

async function migrate(url: string): Promise<void> {
  // A table of any size takes as long as it takes.
  const database = await Database.connect({
    url,
    poolMax: 2,
    applicationName: 'millrace-migrate',
    statementTimeoutMs: 0,
  });
  try {
    await checkServices(config);
    const unknown = await database.listUnknownMigrations();
    if (unknown.length > 0) {
      throw new ConfigError([
        `DATABASE_URL: the database was written by a newer Millrace (it has ${unknown.join(', ')}). Start that release, or restore a backup`,
      ]);
    }
    const applied = await database.migrate();
    if (config.queueBackend === 'postgres') await migrateQueues({ url });
    log.info({ applied }, applied.length > 0 ? 'database migrated' : 'database is up to date');
  } finally {
    await database.close();
  }
}

await migrate(config.DATABASE_URL).catch((error: unknown) => exitAfterFailedStart(error, log));
