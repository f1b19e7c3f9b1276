/**
 * BullMQ on PostgreSQL (`createPostgresBackend`'s parts, put together so that a process keeps to its budget).
 *
 * Connections of one process, whatever number of queues it adds to or works on: a pool of at most `poolMax`,
 * opened as needed and let go when idle; and, in a process that works on queues, one more for LISTEN. BullMQ
 * by itself opens a pool of ten and a LISTEN connection for each queue and each worker.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { BackendFactory, ConnectionOptions } from 'bullmq';
import type { Logger } from '#telemetry';
import type { QueueBackend } from '../backend.ts';
import { throttleErrorLog } from '../errors.ts';
import { destroySocket, ListenConnection, PollingBackend, SharedPoolConnection } from './connection.ts';
import { quoteSchema, buildConnectionConfig } from './schema.ts';

export interface PostgresAddress {
  readonly url: string;
  /** BullMQ's tables live in a schema of their own. @default 'bullmq' */
  readonly schema?: string;
  /** Connections for queries, at most. 2 do for a process that only adds jobs, 4 for a worker. */
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
    // A connection whose packets vanish is dropped by the query that waits on it.
    query_timeout: 10_000,
    idleTimeoutMillis: 30_000,
  });
  const complain = throttleErrorLog(log, 'the queue on Postgres does not answer');
  pool.on('error', complain);
  const open = new Set<pg.PoolClient>();
  pool.on('connect', (client) => {
    open.add(client);
    client.once('end', () => open.delete(client));
  });
  // Each BullMQ object on the pool adds a listener for errors.
  pool.setMaxListeners(0);
  const listener = new ListenConnection({ ...config, keepAliveInitialDelayMillis: 10_000 }, complain);

  const factory: BackendFactory = (name, opts) =>
    new PollingBackend(new SharedPoolConnection(pool, schema, listener), name, opts as never);
  const connection = pool as unknown as ConnectionOptions;
  const present = `select id from ${quoteSchema(schema)}.job where queue = $1 and id = any($2::text[])`;

  return {
    kind: 'postgres',
    factory,
    queueOptions: { connection },
    workerOptions: { connection },
    async findExistingJobs(queue, ids) {
      const { rows } = await pool.query<{ id: string }>(present, [queue, ids]);
      return new Set(rows.map(({ id }) => id));
    },
    async ping() {
      await pool.query('select 1');
    },
    async close() {
      await Promise.race([
        Promise.all([listener.close(), pool.end()]),
        sleep(1_000, undefined, { ref: false }),
      ]);
      for (const client of open) destroySocket(client);
    },
  };
}
