/** The worker put together: what it stands on, the handlers of its queues, and the order in which it leaves. */
import { hostname } from 'node:os';
import { modelOptions, priceTable, providerOptions, storeOptions, version, type AppConfig } from '#config';
import { newId } from '#contracts';
import {
  CheckpointStore,
  ChunkStore,
  Database,
  FileStore,
  ModelWishStore,
  PlanStore,
  ResultStore,
  TaskStore,
  WorkerStore,
} from '#database';
import { Prices } from '#domain';
import { allowedHosts, createOutbound } from '#outbound';
import { createProviders, type Providers } from '#providers';
import { connectQueues, type CancelMatch } from '#queues';
import { Coalescer, connectBus } from '#realtime';
import { createStore } from '#storage';
import type { Logger } from '#telemetry';
import { watchDevice } from './accelerators.ts';
import { InputFiles } from './batches/input-files.ts';
import { Storing } from './batches/storing.ts';
import { HeldModels } from './hold-models.ts';
import { hostsOf } from './hosts.ts';
import { InHand } from './in-hand.ts';
import { Devices } from './inference/devices.ts';
import { startPresence } from './presence.ts';
import { startWorkerServer } from './worker-server.ts';

export interface RunningWorker {
  /** Finishes what it can within 25 s, hands back the rest, closes everything. */
  stop(): Promise<void>;
}

/** For each slot: a small chunk takes some ms to run, and three times as many to be stored. */
const storedAtOnce = 2;

/** Facts of tasks wake the relay so often at most: each look costs it a statement. */
const tellFactsEveryMs = 50;

export async function startWorker(
  config: AppConfig,
  log: Logger,
  onDeaf: () => void,
): Promise<RunningWorker> {
  const workerId = newId('worker');
  const prices = new Prices(priceTable(config));
  const url = config.DATABASE_URL;
  const database = await Database.connect({
    url,
    poolMax: config.DATABASE_POOL,
    applicationName: 'millrace-worker',
  });
  const backend = { kind: config.queueBackend, url: config.REDIS_URL ?? url };
  const bus = await connectBus(backend, { log });
  const queues = connectQueues({ backend: { ...backend, poolMax: config.DATABASE_POOL }, log });
  const store = await createStore(storeOptions(config));
  const providers = createProviders({ ...modelOptions(config), ...providerOptions(config) });
  const files = new FileStore(database);
  const plans = new PlanStore(database);
  const chunks = new ChunkStore(database);
  const workers = new WorkerStore(database);
  const tasks = new TaskStore(database);
  const { route } = providers;
  const devices = new Devices();
  const inHand = new InHand();
  const storing = new Storing(storedAtOnce * config.WORKER_SLOTS * config.WORKER_POOLS.length);
  const facts = new Coalescer<null>(tellFactsEveryMs, () => void bus.announce('facts.written', {}));
  const { LINE_MAX_BYTES: lineMaxBytes, BATCH_MAX_LINES: batchMaxLines } = config;
  const outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: allowedHosts(config.MILLRACE_INPUT_ALLOW_HOSTS),
  });
  const common = { workerId, store, bus, inHand, route, prices, media: { files, store, outbound } };
  const hosts = hostsOf(config, {
    queues,
    log,
    runner: {
      ...common,
      chunks,
      storing,
      checkpoints: new CheckpointStore(database),
      inputs: new InputFiles(files),
      devices,
      lineMaxBytes,
    },
    tasks: { ...common, tasks, devices, queues, tellFacts: () => facts.put('', null) },
    planner: { ...common, plans, files, results: new ResultStore(database), lineMaxBytes, batchMaxLines },
  });
  const isConsuming = () => hosts.every((host) => host.health().healthy);
  const { WORKER_HTTP_PORT: port, HOST: host } = config;
  const server = port === undefined ? null : await startWorkerServer({ port, host, isConsuming });
  const interrupt = (what: CancelMatch) => hosts.forEach((host) => host.cancel(what));
  // A missed broadcast is made good by the next beat, which names what is no longer to be run.
  await bus.subscribe('batch.closing', interrupt, () => undefined);
  await bus.subscribe('task.cancel', interrupt, () => undefined);
  const models = new HeldModels({
    providers: providers.list,
    pools: config.WORKER_POOLS,
    wishes: new ModelWishStore(database),
    log,
  });
  const followWishes = () => void models.followWishes();
  await bus.subscribe('models.wished', followWishes, followWishes);
  followWishes();
  const device = watchDevice();
  const presence = startPresence({
    self: {
      id: workerId,
      pools: config.WORKER_POOLS,
      slots: config.WORKER_SLOTS,
      host: hostname(),
      pid: process.pid,
      version,
    },
    workers,
    tasks,
    state: () => ({
      consuming: isConsuming(),
      memoryBytes: process.memoryUsage.rss(),
      running: inHand.list(),
      models: models.list(),
      device: device.state(),
    }),
    onOver: interrupt,
    onDeaf,
    log,
  });
  if (config.WORKER_POOLS.includes('local')) void preload(providers, config.MODELS_PRELOAD, log);
  log.info({ workerId, pools: config.WORKER_POOLS, slots: config.WORKER_SLOTS }, 'worker ready');

  return {
    async stop() {
      await Promise.all(hosts.map((host) => host.drain()));
      await storing.leave();
      await presence.leave();
      device.stop();
      facts.flush();
      await providers.close().catch(() => undefined);
      server?.close();
      await Promise.allSettled([bus.close(), queues.close(), store.close(), outbound.close()]);
      await database.close();
    },
  };
}

/** Work is taken meanwhile: a model that can't be loaded holds up its own calls alone. */
async function preload({ route }: Providers, names: readonly string[], log: Logger): Promise<void> {
  for (const name of names) {
    try {
      const { provider, model } = route(name.startsWith('local/') ? name : `local/${name}`, 'embeddings');
      await provider.models?.load(model);
      log.info({ model: name }, 'model loaded');
    } catch (error) {
      log.error({ err: error, model: name }, 'a model of MODELS_PRELOAD could not be loaded');
    }
  }
}
