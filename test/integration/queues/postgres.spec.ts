/** The queues on PostgreSQL, in a database of the suite's own, and their connection budget. */
import pg from 'pg';
import { createId } from '@millrace/contracts';
import { migrateQueues } from '#queues';
import { createDatabase } from '../../support/postgres.ts';
import { QueueHarness, eventually, type BackendUnderTest } from './queue-harness.ts';
import { queueConformance } from './conformance.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';

/** Not the default, so that a statement without the schema fails. */
const schema = 'custom_queues';

async function onPostgres(): Promise<BackendUnderTest> {
  const database = await createDatabase();
  const at = new URL(database.url);
  const proxy = await startTcpProxy({ host: at.hostname, port: Number(at.port || 5432) });
  const proxied = new URL(at);
  proxied.hostname = '127.0.0.1';
  proxied.port = String(proxy.port);
  // Every process of a deployment may migrate at start.
  await Promise.all([1, 2, 3].map(() => migrateQueues({ url: database.url, schema })));
  const admin = new pg.Pool({ connectionString: database.url, max: 2 });
  const terminateOthers = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and application_name = 'millrace-queues'`;
  return {
    address: { kind: 'postgres', url: proxied.href, schema, poolMax: 4 },
    direct: { kind: 'postgres', url: database.url, schema, poolMax: 4 },
    async addForeign(physicalQueue, jobId, data) {
      const pool = new pg.Pool({
        connectionString: database.url,
        options: `-c search_path=${schema}`,
        max: 1,
      });
      await pool.query(
        'insert into job (queue, id, seq, name, state, data, added_at_ms) values ($1, $2, $3, $4, $5, $6, $7)',
        [physicalQueue, jobId, 1, 'foreign', 'waiting', JSON.stringify(data), Date.now()],
      );
      await pool.end();
    },
    async dump() {
      const { rows } = await admin.query<{ row: string }>(`select j::text as row from ${schema}.job j`);
      return rows.map(({ row }) => row).join('\n');
    },
    async empty() {
      await admin.query(`delete from ${schema}.job`);
    },
    async restart(downMs, meanwhile) {
      await admin.query(terminateOthers);
      await proxy.cut();
      const until = performance.now() + downMs;
      await meanwhile();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, until - performance.now())));
      await proxy.restore();
    },
    dropPackets: () => proxy.dropPackets(),
    passNewConnections: () => proxy.passNewConnections(),
    async close() {
      await admin.end();
      await proxy.close();
      await database.drop();
    },
  };
}

describe('queues on PostgreSQL', () => {
  queueConformance(onPostgres);

  test('a process keeps to its connection budget: the pool, and one more when it consumes queues', async () => {
    const database = await createDatabase();
    const harness = new QueueHarness();
    const admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    const connections = async (): Promise<number> => {
      const { rows } = await admin.query<{ open: number }>(
        `select count(*)::int as open from pg_stat_activity
          where datname = current_database() and application_name = 'millrace-queues'`,
      );
      return rows[0]!.open;
    };
    try {
      await migrateQueues({ url: database.url });
      const queues = harness.connect({ kind: 'postgres', url: database.url, poolMax: 3 });
      const batchId = createId('batch');
      const jobs = Array.from({ length: 400 }, (_, chunk) => ({
        payload: { batchId, chunk, generation: 1 },
      }));
      await Promise.all(
        Array.from({ length: 20 }, (_, at) => queues.add('batch', `pool-${at}`, jobs.slice(0, 5))),
      );
      expect(await connections()).toBeLessThanOrEqual(3);
      await queues.add('batch', harness.pool, jobs);
      let most = 0;
      let ran = 0;
      const run = async (): Promise<void> => void ran++;
      harness.startHost(queues, { plan: run, batch: run, direct: run }, 16);
      await eventually('all run', 30_000, async () => {
        most = Math.max(most, await connections());
        return ran === 400;
      });
      expect(most).toBeLessThanOrEqual(4);
    } finally {
      await harness.close();
      await admin.end();
      await database.drop();
    }
  });

  test('a call on a schema that was never migrated fails', async () => {
    const database = await createDatabase();
    const harness = new QueueHarness();
    try {
      const queues = harness.connect({ kind: 'postgres', url: database.url, poolMax: 1 });
      await queues.ping();
      await expect(queues.getCounts('plan', null)).rejects.toMatchObject({
        cause: { message: expect.stringContaining('not initialized') as string },
      });
    } finally {
      await harness.close();
      await database.drop();
    }
  });
});
