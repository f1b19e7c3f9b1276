/** A Postgres whose packets are dropped: a statement times out, and the next one uses another connection. */
import { Database } from '#database';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';

let server: TestDatabase;
let proxy: TcpProxy;
let database: Database;
beforeEach(async () => {
  server = await createDatabase();
  const url = new URL(server.url);
  proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port || 5432) });
  url.port = String(proxy.port);
  url.hostname = '127.0.0.1';
  database = await Database.connect({
    url: url.href,
    poolMax: 2,
    applicationName: 'statement-timeout-test',
    statementTimeoutMs: 500,
  });
});
afterEach(async () => {
  await proxy.close();
  await database.close();
  await server.drop();
});

const unavailable = expect.objectContaining({ code: 'database_unavailable' });

test('statements and transactions time out, and the pool keeps no dead connection', async () => {
  await Promise.all([database.ping(), database.ping()]); // both connections are open
  proxy.dropPackets();
  const work = [
    database.ping(),
    database.asSystem(async (transaction) => void (await transaction.rows('select 1'))),
    database.rows('select 1'),
  ];
  for (const each of await Promise.allSettled(work)) {
    expect(each).toEqual({ status: 'rejected', reason: unavailable });
  }
  proxy.passNewConnections();
  await Promise.all(Array.from({ length: 6 }, () => database.ping()));
  await database.asSystem(async (transaction) => void (await transaction.rows('select 1')));
});

test('a slow statement within the limit succeeds', async () => {
  await expect(database.rows(`select 1 as one from pg_sleep(0.2)`)).resolves.toEqual([{ one: 1 }]);
  await expect(database.rows('select pg_sleep(5)')).rejects.toEqual(unavailable);
  await expect(database.rows('select 1 as one')).resolves.toEqual([{ one: 1 }]);
});
