import pg from 'pg';
import { createDatabase, getServerUrl } from '../../support/postgres.ts';
import { busConformance } from './conformance.ts';

async function runOnServer(sql: string, values: unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: getServerUrl() });
  await client.connect();
  try {
    await client.query(sql, values);
  } finally {
    await client.end();
  }
}

busConformance(async () => {
  const database = await createDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const cut = (bus: string) =>
    runOnServer(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name like $2',
      [name, bus],
    );
  return {
    address: { kind: 'postgres', url: database.url },
    cutListener: cut,
    cutPublisher: cut,
    async stop() {
      await runOnServer(`alter database ${name} allow_connections false`);
      await cut('%bus%');
    },
    start: () => runOnServer(`alter database ${name} allow_connections true`),
    async sendInvalidMessage() {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      for (let bucket = 0; bucket < 16; bucket++) {
        for (const text of [
          'x',
          'a.0.0.1 {',
          'a.1.0.1 []',
          'a.2.0.1 [["update:batch",{"m":{"batchId":1}}]]',
          'a.3.0.1 [["update:batch",null]]',
        ]) {
          await client.query('select pg_notify($1, $2)', [`millrace_${bucket}`, text]);
        }
      }
      await client.end();
    },
    close: () => database.drop(),
  };
});
