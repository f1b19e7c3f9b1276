/**
 * BullMQ on Redis (6.2 or newer, `noeviction`, AOF). One process uses 1 connection for all producers, and 2 for each
 * queue that it consumes (one of them blocks while it waits for a job).
 */
import { createRedisBackend, type BackendFactory } from 'bullmq';
import type { RedisOptions } from 'ioredis';
import type { Logger } from '#telemetry';
import type { QueueBackend } from '../backend.ts';
import { throttleErrorLog } from '../errors.ts';
import { RedisWithTimeout } from './connection.ts';

export interface RedisAddress {
  /** `redis://` or `rediss://`, with user, password and database number where they apply. */
  readonly url: string;
  /** Prefix of every key. @default 'millrace' */
  readonly prefix?: string;
}

/** Longest blocking read. BullMQ's default is 10 s. */
const maxBlockSeconds = 5;
/** A socket without an answer for this long is dead. After a network failure two connections may be found dead in turn. */
const socketTimeoutMs = 8_000;

const reconnectOptions = {
  connectTimeout: 3_000,
  disconnectTimeout: 200,
  keepAlive: 10_000,
  retryStrategy: (attempts: number) => Math.min(100 * attempts, 1_000),
} satisfies RedisOptions;

/** A request waits for a producer's command: it fails at the second reconnect instead of hanging. */
const producerOptions = {
  ...reconnectOptions,
  maxRetriesPerRequest: 1,
  commandTimeout: 1_900,
  socketTimeout: 2_500,
} satisfies RedisOptions;

/** No request waits for a worker's command: it is retried through any outage, and a silent socket is replaced. */
const workerOptions = {
  ...reconnectOptions,
  maxRetriesPerRequest: null,
  socketTimeout: socketTimeoutMs,
} satisfies RedisOptions;

export function openRedisBackend({ url, prefix = 'millrace' }: RedisAddress, log: Logger): QueueBackend {
  const client = new RedisWithTimeout(url, producerOptions);
  client.on('error', throttleErrorLog(log, 'the queue on Redis does not answer'));

  const factory: BackendFactory = (name, opts, kind) =>
    kind?.withBlockingConnection ? forWorker(name, opts, kind) : createRedisBackend(name, opts, kind);

  const forWorker: BackendFactory = (name, opts, kind) => {
    const connection = new RedisWithTimeout(url, workerOptions);
    // BullMQ removes its error listener when it closes. An error after that would end the process.
    connection.on('error', () => undefined);
    const backend = createRedisBackend(name, { ...opts, connection }, kind);
    Object.defineProperty(backend, 'maximumBlockTimeout', { value: maxBlockSeconds });
    const close = backend.close.bind(backend);
    // BullMQ does not close a connection that it did not open.
    backend.close = (force) => close(force).finally(() => connection.disconnect());
    return backend;
  };

  return {
    kind: 'redis',
    factory,
    // The version check is one INFO at start. If it failed, the producer would never work again.
    queueOptions: { connection: client, prefix, skipVersionCheck: true },
    // The factory replaces this connection with one of the worker's own.
    workerOptions: { connection: client, prefix },
    async findExistingJobs(queue, ids) {
      const pipeline = client.pipeline();
      for (const id of ids) pipeline.exists(`${prefix}:${queue}:${id}`);
      const found = new Set<string>();
      for (const [index, [error, exists]] of ((await pipeline.exec()) ?? []).entries()) {
        if (error) throw error;
        const id = ids[index];
        if (exists === 1 && id !== undefined) found.add(id);
      }
      return found;
    },
    async ping() {
      await client.ping();
    },
    async close() {
      client.disconnect();
    },
  };
}
