/** The worker put together: what it stands on, the handlers of its queues, and the order in which it leaves. */
import { hostname } from 'node:os';
import { modelOptions, priceTable, providerOptions, storeOptions, version, type AppConfig } from '#config';
import { newId } from '@millrace/contracts';
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
import { watchAccelerators } from './heartbeat/accelerators.ts';
import { InputFiles } from './batches/chunks/input-files.ts';
import { CommitQueue } from './batches/chunks/commit-queue.ts';
import { ModelReconciler } from './models/reconcile-models.ts';
import { startQueueHosts } from './queue-hosts.ts';
import { RunningWorkRegistry } from './heartbeat/running-work.ts';
import { ModelRuntimes } from './inference/model-runtimes.ts';
import { startHeartbeat } from './heartbeat/heartbeat.ts';
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
  onNotConsuming: () => void,
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
  const objects = await createStore(storeOptions(config));
  const providers = createProviders({ ...modelOptions(config), ...providerOptions(config) });
  const files = new FileStore(database);
  const plans = new PlanStore(database);
  const chunks = new ChunkStore(database);
  const workers = new WorkerStore(database);
  const tasks = new TaskStore(database);
  const { route } = providers;
  const runtimes = new ModelRuntimes();
  const runningWork = new RunningWorkRegistry();
  const commitQueue = new CommitQueue(storedAtOnce * config.WORKER_SLOTS * config.WORKER_POOLS.length);
  const facts = new Coalescer<null>(tellFactsEveryMs, () => void bus.publish('facts.written', {}));
  const { LINE_MAX_BYTES: lineMaxBytes, BATCH_MAX_LINES: batchMaxLines } = config;
  const outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: allowedHosts(config.MILLRACE_INPUT_ALLOW_HOSTS),
  });
  const common = { workerId, objects, bus, runningWork, route, prices, media: { files, objects, outbound } };
  const hosts = startQueueHosts(config, {
    queues,
    log,
    runner: {
      ...common,
      chunks,
      commitQueue,
      checkpoints: new CheckpointStore(database),
      inputFiles: new InputFiles(files),
      runtimes,
      lineMaxBytes,
    },
    tasks: { ...common, tasks, runtimes, queues, publishEventsCommitted: () => facts.push('', null) },
    planner: { ...common, plans, files, results: new ResultStore(database), lineMaxBytes, batchMaxLines },
  });
  const isConsuming = () => hosts.every((host) => host.getHealth().healthy);
  const { WORKER_HTTP_PORT: port, HOST: host } = config;
  const server = port === undefined ? null : await startWorkerServer({ port, host, isConsuming });
  const interrupt = (what: CancelMatch) => hosts.forEach((host) => host.cancel(what));
  // A missed broadcast is made good by the next beat, which names what is no longer to be run.
  await bus.subscribe('batch.closing', interrupt, () => undefined);
  await bus.subscribe('task.cancel', interrupt, () => undefined);
  const models = new ModelReconciler({
    providers: providers.list,
    pools: config.WORKER_POOLS,
    desiredModels: new ModelWishStore(database),
    log,
  });
  const followWishes = () => void models.reconcile();
  await bus.subscribe('models.wished', followWishes, followWishes);
  followWishes();
  const device = watchAccelerators();
  const presence = startHeartbeat({
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
    getState: () => ({
      consuming: isConsuming(),
      memoryBytes: process.memoryUsage.rss(),
      running: runningWork.list(),
      models: models.list(),
      device: device.getState(),
    }),
    onEnded: interrupt,
    onNotConsuming,
    log,
  });
  if (config.WORKER_POOLS.includes('local')) void preload(providers, config.MODELS_PRELOAD, log);
  log.info({ workerId, pools: config.WORKER_POOLS, slots: config.WORKER_SLOTS }, 'worker ready');

  return {
    async stop() {
      await Promise.all(hosts.map((host) => host.drain()));
      await commitQueue.drain();
      await presence.stop();
      device.stop();
      facts.flush();
      await providers.close().catch(() => undefined);
      server?.close();
      await Promise.allSettled([bus.close(), queues.close(), objects.close(), outbound.close()]);
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
