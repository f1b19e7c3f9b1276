/**
 * BullMQ on Redis (6.2 or newer, `noeviction`, AOF). Connections of one process: 1 for all producers, and 2
 * for each queue it works on (one blocks while it waits for a job).
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
  /** Stands before every key. @default 'millrace' */
  readonly prefix?: string;
}

/** A blocking read is silent for so long at most; BullMQ's own limit is 10 s. */
const maxBlockSeconds = 5;
/** A socket that owes an answer for longer is dead. Two in a row may have to be found out, one after the other. */
const socketTimeoutMs = 8_000;

const reconnectOptions = {
  connectTimeout: 3_000,
  disconnectTimeout: 200,
  keepAlive: 10_000,
  retryStrategy: (tries: number) => Math.min(100 * tries, 1_000),
} satisfies RedisOptions;

/** A request is waiting: what can't be sent by the second reconnect fails instead of hanging. */
const producerOptions = {
  ...reconnectOptions,
  maxRetriesPerRequest: 1,
  commandTimeout: 1_900,
  socketTimeout: 2_500,
} satisfies RedisOptions;

/** Nobody is waiting: a worker's command outlives any outage; a socket that fell silent is replaced. */
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
    const own = new RedisWithTimeout(url, workerOptions);
    // BullMQ listens until it has closed; an error after that is nobody's.
    own.on('error', () => undefined);
    const backend = createRedisBackend(name, { ...opts, connection: own }, kind);
    Object.defineProperty(backend, 'maximumBlockTimeout', { value: maxBlockSeconds });
    const close = backend.close.bind(backend);
    // BullMQ leaves a connection that it was given open.
    backend.close = (force) => close(force).finally(() => own.disconnect());
    return backend;
  };

  return {
    kind: 'redis',
    factory,
    // The version check is one INFO at start; were it to fail, the producer would be dead for good.
    queueOptions: { connection: client, prefix, skipVersionCheck: true },
    // Replaced by a connection of each worker's own, in the factory.
    workerOptions: { connection: client, prefix },
    async findExistingJobs(queue, ids) {
      const pipeline = client.pipeline();
      for (const id of ids) pipeline.exists(`${prefix}:${queue}:${id}`);
      const found = new Set<string>();
      for (const [at, [error, there]] of ((await pipeline.exec()) ?? []).entries()) {
        if (error) throw error;
        const id = ids[at];
        if (there === 1 && id !== undefined) found.add(id);
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
