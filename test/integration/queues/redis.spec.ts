/** The queues on Redis, with a `redis-server` of the suite's own. Without the program the suite fails in CI and is skipped elsewhere. */
import { inspect } from 'node:util';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Unavailable } from '#domain';
import { findRedisServer, startRedis } from '../../support/redis.ts';
import { QueueHarness, type BackendUnderTest } from './queue-harness.ts';
import { queueConformance } from './conformance.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';

async function onRedis(): Promise<BackendUnderTest> {
  const redis = (await startRedis())!;
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: redis.port });
  return {
    address: { kind: 'redis', url: `redis://127.0.0.1:${proxy.port}` },
    direct: { kind: 'redis', url: redis.url },
    async addForeign(physicalQueue, jobId, data) {
      const queue = new Queue(physicalQueue, { connection: { url: redis.url }, prefix: 'millrace' });
      await queue.add('foreign', data, { jobId });
      await queue.close();
    },
    async dump() {
      const client = new Redis(redis.url);
      const keys = await client.keys('*');
      const held = await Promise.all(keys.map((key) => client.dumpBuffer(key)));
      client.disconnect();
      return [...keys, ...held.map(String)].join('\n');
    },
    empty: () => redis.flush(),
    async restart(downMs, meanwhile) {
      await redis.kill();
      const until = performance.now() + downMs;
      await meanwhile();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, until - performance.now())));
      await redis.start();
    },
    dropPackets: () => proxy.dropPackets(),
    passNewConnections: () => proxy.passNewConnections(),
    async close() {
      await proxy.close();
      await redis.dispose();
    },
  };
}

if (findRedisServer() === null) {
  test('NOT RUN: the queues on Redis (no redis-server on PATH or in REDIS_SERVER)', async () => {
    expect(await startRedis()).toBeNull();
  });
} else {
  describe('queues on Redis', () => {
    queueConformance(onRedis);

    test('neither a log line nor an error contains a refused password', async () => {
      const redis = (await startRedis({ password: 'the-right-one' }))!;
      const harness = new QueueHarness();
      try {
        const queues = harness.connect({ kind: 'redis', url: `redis://:wrong-4711@127.0.0.1:${redis.port}` });
        harness.startHost(queues, { batch: async () => undefined });
        const failure = await queues.ping().then(
          () => null,
          (error: unknown) => error,
        );
        await new Promise((resolve) => setTimeout(resolve, 500));
        expect(failure).toBeInstanceOf(Unavailable);
        expect(inspect(failure, { depth: 9 })).not.toContain('wrong-4711');
        expect(harness.logLines.length).toBeGreaterThan(0);
        expect(harness.logLines.join('')).not.toContain('wrong-4711');
      } finally {
        await harness.close();
        await redis.dispose();
      }
    });
  });
}
