/** All of it at once, in a seeded order: kills, freezes, servers away, the queue emptied, and batches cancelled. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { measureThroughput } from '../throughput.ts';
import { isAlive } from '../worker-restarter.ts';
import { inputWithChunkSeconds } from '../chunk-duration.ts';
import { DedicatedPostgres } from '../dedicated-postgres.ts';
import { Deployment } from '../deployment.ts';

const workers = 3;

interface Round {
  readonly name: string;
  readonly needsRedis?: boolean;
  readonly act: (deployment: Deployment, server: DedicatedPostgres) => Promise<void>;
}

const rounds: readonly Round[] = [
  {
    name: 'kill -9 a worker',
    act: async (deployment) => void pickWorker(deployment)?.child.kill('SIGKILL'),
  },
  {
    name: 'SIGTERM a worker',
    act: async (deployment) => void pickWorker(deployment)?.child.kill('SIGTERM'),
  },
  {
    name: 'freeze a worker',
    act: async (deployment) => {
      const worker = pickWorker(deployment);
      worker?.child.kill('SIGSTOP');
      await sleep(deployment.options.random.between(1_000, 12_000));
      worker?.child.kill('SIGCONT');
    },
  },
  {
    name: 'kill -9 the API',
    act: async (deployment) => {
      const { child } = deployment.platform.api;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await deployment.platform.restartApi();
    },
  },
  {
    name: 'stop Postgres',
    act: async ({ options }, server) => {
      await server.stop();
      await sleep(options.random.between(200, 4_000));
      await server.start();
    },
  },
  {
    name: 'kill Redis',
    needsRedis: true,
    act: async ({ redis, options }) => {
      await redis!.kill();
      await sleep(options.random.between(200, 6_000));
      await redis!.start();
    },
  },
  { name: 'empty Redis', needsRedis: true, act: ({ redis }) => redis!.flush() },
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
  const struck: string[] = [];
  const ends: Record<string, string> = {};
  while (Date.now() < until) {
    const round = random.pick(rounds.filter(({ needsRedis }) => !needsRedis || deployment.redis));
    struck.push(round.name);
    print(round.name);
    await round.act(deployment, server);
    await sleep(random.between(100, 2_500));
    if (random.next() < 0.5) await submitSome(deployment, lines);
    if (random.next() < 0.3) await cancelOne(deployment, ends);
  }
  print(`${struck.length} rounds are over; ${deployment.submitted.length} batches`);
  await deployment.waitUntilEnded(180_000);
  // One that was asked to end may have run to its end before.
  for (const id of Object.keys(ends)) ends[id] = (await deployment.database.getBatchState(id)).status;
  const checks = await deployment.runChecker({ ends, lostUploads: struck.length });
  const figures = {
    rounds: struck.length,
    batches: deployment.submitted.length,
    ...(await measureThroughput(deployment)),
  };
  return { checks, tables: [buildRoundTable(struck)], figures };
}

function pickWorker({ platform, options }: Deployment) {
  const alive = platform.workers.filter(isAlive);
  return alive.length > 0 ? options.random.pick(alive) : null;
}

/** Creates a batch as a caller does who does not give up: both requests again until they are acknowledged. */
async function submitSome(deployment: Deployment, lines: number): Promise<void> {
  const key = `storm-${deployment.options.seed}-${deployment.submitted.length}`;
  const uploaded = await untilTaken(() => deployment.upload(inputWithChunkSeconds(lines, 1.5)));
  await untilTaken(() => deployment.create(uploaded, key));
}

async function untilTaken<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === 30) throw error;
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
    // It had ended, or the request met a fault.
    ends[id] = 'unknown';
  }
}

function buildRoundTable(struck: readonly string[]): Table {
  const counts = Map.groupBy(struck, (name) => name);
  return {
    title: 'What was done',
    columns: ['fault', 'times'],
    rows: [...counts].map(([name, times]) => [name, times.length]),
  };
}
