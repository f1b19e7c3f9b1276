/** All of it at once, in a seeded order: kills, freezes, servers away, the queue emptied, and batches cancelled. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOptions, FaultResult, Table } from '../fault.ts';
import { speed } from '../figures.ts';
import { isAlive } from '../keeper.ts';
import { pacedInput } from '../pace.ts';
import { OwnPostgres } from '../own-postgres.ts';
import { Scene } from '../scene.ts';

const workers = 3;

interface Stroke {
  readonly name: string;
  readonly needsRedis?: boolean;
  readonly act: (scene: Scene, server: OwnPostgres) => Promise<void>;
}

const strokes: readonly Stroke[] = [
  {
    name: 'kill -9 a worker',
    act: async (scene) => void pickWorker(scene)?.child.kill('SIGKILL'),
  },
  {
    name: 'SIGTERM a worker',
    act: async (scene) => void pickWorker(scene)?.child.kill('SIGTERM'),
  },
  {
    name: 'freeze a worker',
    act: async (scene) => {
      const worker = pickWorker(scene);
      worker?.child.kill('SIGSTOP');
      await sleep(scene.options.random.between(1_000, 12_000));
      worker?.child.kill('SIGCONT');
    },
  },
  {
    name: 'kill -9 the API',
    act: async (scene) => {
      const { child } = scene.platform.api;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await scene.platform.restartApi();
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
    OwnPostgres.use(options.say, (server) =>
      Scene.play(options, { workers, databaseUrl: server.url }, (scene) => act(scene, server, options)),
    ),
};

async function act(scene: Scene, server: OwnPostgres, options: FaultOptions): Promise<FaultResult> {
  const { short, random, say } = options;
  const until = Date.now() + (short ? 12_000 : 120_000);
  const lines = options.lines ?? 600;
  await submitSome(scene, lines);
  await scene.running();
  await scene.look();
  const struck: string[] = [];
  const ends: Record<string, string> = {};
  while (Date.now() < until) {
    const stroke = random.pick(strokes.filter(({ needsRedis }) => !needsRedis || scene.redis));
    struck.push(stroke.name);
    say(stroke.name);
    await stroke.act(scene, server);
    await sleep(random.between(100, 2_500));
    if (random.next() < 0.5) await submitSome(scene, lines);
    if (random.next() < 0.3) await cancelOne(scene, ends);
  }
  say(`${struck.length} strokes are over; ${scene.submitted.length} batches`);
  await scene.ended(180_000);
  // One that was asked to end may have run to its end before.
  for (const id of Object.keys(ends)) ends[id] = (await scene.truth.batch(id)).status;
  const checks = await scene.verdict({ ends, lostUploads: struck.length });
  const figures = { strokes: struck.length, batches: scene.submitted.length, ...(await speed(scene)) };
  return { checks, tables: [strokeTable(struck)], figures };
}

function pickWorker({ platform, options }: Scene) {
  const alive = platform.workers.filter(isAlive);
  return alive.length > 0 ? options.random.pick(alive) : null;
}

/** Creates a batch as a caller does who does not give up: both requests again until they are acknowledged. */
async function submitSome(scene: Scene, lines: number): Promise<void> {
  const key = `storm-${scene.options.seed}-${scene.submitted.length}`;
  const uploaded = await untilTaken(() => scene.upload(pacedInput(lines, 1.5)));
  await untilTaken(() => scene.create(uploaded, key));
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

async function cancelOne(scene: Scene, ends: Record<string, string>): Promise<void> {
  const { id } = scene.options.random.pick(scene.submitted);
  try {
    await scene.platform.client.batches.cancel(id);
    ends[id] = 'cancelled';
    scene.options.say(`cancelled ${id}`);
  } catch {
    // It had ended, or the request met a fault.
    ends[id] = 'unknown';
  }
}

function strokeTable(struck: readonly string[]): Table {
  const counts = Map.groupBy(struck, (name) => name);
  return {
    title: 'What was done',
    columns: ['fault', 'times'],
    rows: [...counts].map(([name, times]) => [name, times.length]),
  };
}
