/** Brings the database to this release's schema, and the queue's where it lives there too; run before the apps start. */
import 'reflect-metadata';
import { loadAppConfigOrExit } from '#config';
import { Database } from '#database';
import { migrateQueues } from '#queues';
import { createLogger } from '#telemetry';

const config = loadAppConfigOrExit();
const log = createLogger('migrate', config.LOG_LEVEL);
const url = config.DATABASE_URL;
// A table of any size takes as long as it takes.
const database = await Database.connect({
  url,
  poolMax: 2,
  applicationName: 'millrace-migrate',
  statementTimeoutMs: 0,
});
try {
  const unknown = await database.listUnknownMigrations();
  if (unknown.length > 0) {
    process.stderr.write(
      `The database was written by a newer Millrace (it has ${unknown.join(', ')}). Start that release, or restore a backup.\n`,
    );
    process.exitCode = 78;
  } else {
    const applied = await database.migrate();
    if (config.queueBackend === 'postgres') await migrateQueues({ url });
    log.info({ applied }, applied.length > 0 ? 'database migrated' : 'database is up to date');
  }
} finally {
  await database.close();
}
