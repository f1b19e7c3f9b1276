import { Redis } from 'ioredis';
import { startRedis } from '../../support/redis.ts';
import { busConformance } from './conformance.ts';

const redis = await startRedis();

async function withClient(work: (client: Redis) => Promise<void>): Promise<void> {
  const client = new Redis(redis!.url);
  await work(client);
  client.disconnect();
}

const cut = (name: string) =>
  withClient(async (client) => {
    for (const line of String(await client.client('LIST')).split('\n')) {
      const id = / name=(\S*)/.exec(line)?.[1] === name && /^id=(\d+)/.exec(line)?.[1];
      if (id) await client.client('KILL', 'ID', id);
    }
  });

if (redis) {
  busConformance(async () => ({
    address: { kind: 'redis', url: redis.url },
    cutListener: (name) => cut(`${name}-subscriber`),
    cutPublisher: (name) => cut(`${name}-publisher`),
    stop: () => redis.kill(),
    start: () => redis.start(),
    sendInvalidMessage: () =>
      withClient(async (client) => {
        for (const text of ['x', '{', '[]', 'null', '{"m":{"batchId":1}}'])
          await client.publish('millrace:update:batch', text);
      }),
    close: () => redis.dispose(),
  }));
} else {
  test('NOT RUN: the bus on Redis (no redis-server on PATH or in REDIS_SERVER)', () => {});
}
