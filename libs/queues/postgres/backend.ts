/**
 * BullMQ on PostgreSQL, built from the parts of `createPostgresBackend` so that a process keeps to its connection
 * budget.
 *
 * One process uses a pool of at most `poolMax` connections, for any number of queues; they are opened when needed and
 * closed when idle. A process that consumes queues uses one more for LISTEN. BullMQ alone opens a pool of ten and a
 * LISTEN connection for each queue and each worker.
 */
import pg from 'pg';
import type { BackendFactory, ConnectionOptions } from 'bullmq';
import { waitAtMost } from '#async';
import type { Logger } from '#telemetry';
import type { QueueBackend } from '../backend.ts';
import { throttleErrorLog } from '../errors.ts';
import { destroySocket, ListenConnection, PollingBackend, SharedPoolConnection } from './connection.ts';
import { quoteSchema, buildConnectionConfig } from './schema.ts';

export interface PostgresAddress {
  readonly url: string;
  /** The schema of BullMQ's tables. @default 'bullmq' */
  readonly schema?: string;
  /** The most connections for queries. 2 are enough for a process that only adds jobs, 4 for a worker. */
  readonly poolMax: number;
}

export function openPostgresBackend(
  { url, schema = 'bullmq', poolMax }: PostgresAddress,
  log: Logger,
): QueueBackend {
  const config = {
    ...buildConnectionConfig(url, schema),
    application_name: 'millrace-queues',
    keepAlive: true,
  };
  const pool = new pg.Pool({
    ...config,
    max: poolMax,
    connectionTimeoutMillis: 2_000,
    // Finds a connection whose packets are dropped: the query that waits on it fails and closes it.
    query_timeout: 10_000,
    idleTimeoutMillis: 30_000,
  });
  const logError = throttleErrorLog(log, 'the queue on Postgres does not answer');
  pool.on('error', logError);
  const open = new Set<pg.PoolClient>();
  pool.on('connect', (client) => {
    open.add(client);
    client.once('end', () => open.delete(client));
  });
  // Each BullMQ object on the pool adds an error listener.
  pool.setMaxListeners(0);
  const listener = new ListenConnection({ ...config, keepAliveInitialDelayMillis: 10_000 }, logError);

  const factory: BackendFactory = (name, opts) =>
    new PollingBackend(new SharedPoolConnection(pool, schema, listener), name, opts as never);
  const connection = pool as unknown as ConnectionOptions;
  const existingJobs = `select id from ${quoteSchema(schema)}.job where queue = $1 and id = any($2::text[])`;

  return {
    kind: 'postgres',
    factory,
    queueOptions: { connection },
    workerOptions: { connection },
    async findExistingJobs(queue, ids) {
      const { rows } = await pool.query<{ id: string }>(existingJobs, [queue, ids]);
      return new Set(rows.map(({ id }) => id));
    },
    async ping() {
      await pool.query('select 1');
    },
    async close() {
      await waitAtMost(1_000, Promise.all([listener.close(), pool.end()]));
      for (const client of open) destroySocket(client);
    },
  };
}
