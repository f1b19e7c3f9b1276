/** All faults in a seeded random order: kills, freezes, stopped servers, an emptied queue, while batches are created and cancelled. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { isAlive } from '../worker-restarter.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { DedicatedPostgres } from '../dedicated-postgres.ts';
import { Deployment } from '../deployment.ts';

const workers = 3;

interface Injection {
  readonly name: string;
  readonly needsRedis?: boolean;
  readonly inject: (deployment: Deployment, server: DedicatedPostgres) => Promise<void>;
}

const injections: readonly Injection[] = [
  {
    name: 'kill -9 a worker',
    inject: async (deployment) => void pickWorker(deployment)?.child.kill('SIGKILL'),
  },
  {
    name: 'SIGTERM a worker',
    inject: async (deployment) => void pickWorker(deployment)?.child.kill('SIGTERM'),
  },
  {
    name: 'freeze a worker',
    inject: async (deployment) => {
      const worker = pickWorker(deployment);
      worker?.child.kill('SIGSTOP');
      await sleep(deployment.options.random.between(1_000, 12_000));
      worker?.child.kill('SIGCONT');
    },
  },
  {
    name: 'kill -9 the API',
    inject: async (deployment) => {
      const { child } = deployment.platform.api;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await deployment.platform.restartApi();
    },
  },
  {
    name: 'stop Postgres',
    inject: async ({ options }, server) => {
      await server.stop();
      await sleep(options.random.between(200, 4_000));
      await server.start();
    },
  },
  {
    name: 'kill Redis',
    needsRedis: true,
    inject: async ({ redis, options }) => {
      await redis!.kill();
      await sleep(options.random.between(200, 6_000));
      await redis!.start();
    },
  },
  { name: 'empty Redis', needsRedis: true, inject: ({ redis }) => redis!.flush() },
];

export const storm: Fault = {
  name: 'storm',
  title: 'every fault in a random order, while batches are created and cancelled',
  backends: ['embedded', 'redis'],
  run: (options) =>
    DedicatedPostgres.use(options.print, (server) =>
      Deployment.use(options, { workers, databaseUrl: server.url }, (deployment) =>
        runFault(deployment, server, options),
      ),
    ),
};

async function runFault(
  deployment: Deployment,
  server: DedicatedPostgres,
  options: FaultOptions,
): Promise<FaultResult> {
  const { short, random, print } = options;
  const until = Date.now() + (short ? 12_000 : 120_000);
  const lines = options.lines ?? 600;
  await submitSome(deployment, lines);
  await deployment.waitUntilChunkRuns();
  await deployment.snapshotQueue();
  const injected: string[] = [];
  const ends: Record<string, string> = {};
  while (Date.now() < until) {
    const injection = random.pick(injections.filter(({ needsRedis }) => !needsRedis || deployment.redis));
    injected.push(injection.name);
    print(injection.name);
    await injection.inject(deployment, server);
    await sleep(random.between(100, 2_500));
    if (random.next() < 0.5) await submitSome(deployment, lines);
    if (random.next() < 0.3) await cancelOne(deployment, ends);
  }
  print(`${injected.length} faults injected; ${deployment.submitted.length} batches`);
  await deployment.waitUntilEnded(180_000);
  // A batch may have completed before its cancellation.
  for (const id of Object.keys(ends)) ends[id] = (await deployment.database.getBatchState(id)).status;
  const checks = await deployment.runChecker({ ends, lostUploads: injected.length });
  const figures = {
    injected: injected.length,
    batches: deployment.submitted.length,
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [buildInjectionTable(injected)], figures };
}

function pickWorker({ platform, options }: Deployment) {
  const alive = platform.workers.filter(isAlive);
  return alive.length > 0 ? options.random.pick(alive) : null;
}

/** Uploads a file and creates a batch; both requests are retried until they are acknowledged. */
async function submitSome(deployment: Deployment, lines: number): Promise<void> {
  const key = `storm-${deployment.options.seed}-${deployment.submitted.length}`;
  const uploaded = await retryUntilAcknowledged(() => deployment.upload(inputWithChunkSeconds(lines, 1.5)));
  await retryUntilAcknowledged(() => deployment.create(uploaded, key));
}

async function retryUntilAcknowledged<T>(send: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (attempt === 30) throw error;
      await sleep(500);
    }
  }
}

async function cancelOne(deployment: Deployment, ends: Record<string, string>): Promise<void> {
  const { id } = deployment.options.random.pick(deployment.submitted);
  try {
    await deployment.platform.client.batches.cancel(id);
    ends[id] = 'cancelled';
    deployment.options.print(`cancelled ${id}`);
  } catch {
    // The batch had ended, or the request failed because of a fault.
    ends[id] = 'unknown';
  }
}

function buildInjectionTable(injected: readonly string[]): Table {
  const counts = Map.groupBy(injected, (name) => name);
  return {
    title: 'Injected faults',
    columns: ['fault', 'times'],
    rows: [...counts].map(([name, times]) => [name, times.length]),
  };
}
