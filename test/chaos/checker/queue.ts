/** Reads the queue directly from its backend, without BullMQ: the job payloads and all other stored text. */
import { Redis } from 'ioredis';
import type { DatabaseReader } from '../database-reader.ts';

export type QueueAddress =
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'postgres'; readonly database: DatabaseReader };

export interface QueueSnapshot {
  /** Job payloads, as text. */
  readonly payloads: readonly string[];
  /** Everything else that the backend stores for the queue, as text. */
  readonly rest: readonly string[];
}

export function readQueue(address: QueueAddress): Promise<QueueSnapshot> {
  return address.kind === 'redis' ? readRedisQueue(address.url) : readPostgresQueue(address.database);
}

async function readPostgresQueue(database: DatabaseReader): Promise<QueueSnapshot> {
  const jobs = await database.rows<{ data: string; row: string }>(
    'select data::text as data, j::text as row from bullmq.job j',
  );
  const rest = jobs.map(({ row }) => row);
  const tables = await database.rows<{ name: string }>(
    `select quote_ident(table_name) as name from information_schema.tables
     where table_schema = 'bullmq' and table_type = 'BASE TABLE' and table_name <> 'job'`,
  );
  for (const { name } of tables) {
    const rows = await database.rows<{ row: string }>(
      `select t::text as row from bullmq.${name} t limit 20000`,
    );
    rest.push(...rows.map(({ row }) => row));
  }
  return { payloads: jobs.map(({ data }) => data), rest };
}

async function readRedisQueue(url: string): Promise<QueueSnapshot> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  const payloads: string[] = [];
  const rest: string[] = [];
  try {
    await redis.connect();
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'COUNT', 500);
      cursor = next;
      for (const key of keys) {
        const value = await valueOf(redis, key);
        rest.push(key, JSON.stringify(value));
        if (isFields(value) && value['data'] !== undefined) payloads.push(value['data']);
      }
    } while (cursor !== '0');
  } finally {
    redis.disconnect();
  }
  return { payloads, rest };
}

const isFields = (value: unknown): value is Record<string, string> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

async function valueOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, 0, -1);
    case 'stream':
      return redis.xrange(key, '-', '+');
    case 'string':
      return redis.get(key);
    default:
      return null; // Deleted since the scan.
  }
}
