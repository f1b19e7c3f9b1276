/** Builds the worker from its settings: connections, queue handlers, heartbeat. Defines the order of a graceful stop. */
import { hostname } from 'node:os';
import {
  buildModelOptions,
  loadPriceTable,
  buildProviderOptions,
  buildObjectStorageOptions,
  version,
  type AppConfig,
} from '#config';
import { createId } from '@millrace/contracts';
import {
  CheckpointStore,
  BatchCompletionStore,
  ChunkStore,
  Database,
  FileStore,
  DesiredModelStore,
  PlanStore,
  ResultStore,
  TaskRunStore,
  WorkerStore,
} from '#database';
import { buildLane, Prices } from '#domain';
import { parseAllowedHosts, createOutbound } from '#outbound';
import { createProviders } from '#providers';
import { assertQueueBackendUsable, connectQueues, type CancelFilter } from '#queues';
import { Coalescer, connectBus } from '#realtime';
import { createObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { watchAccelerators } from './heartbeat/accelerators.ts';
import { InputFiles } from './batches/chunks/input-files.ts';
import { CommitQueue } from './batches/chunks/commit-queue.ts';
import { preloadModels } from './models/preload-models.ts';
import { ModelReconciler } from './models/reconcile-models.ts';
import { startQueueHosts } from './queue-hosts.ts';
import { RunningWorkRegistry } from './heartbeat/running-work.ts';
import { downloadResultWith } from './inference/download-result.ts';
import { ModelRuntimes } from './inference/model-runtimes.ts';
import { startHeartbeat } from './heartbeat/heartbeat.ts';
import { startWorkerServer } from './worker-server.ts';

export interface RunningWorker {
  /** Finishes running work within 25 s, releases the rest, closes everything. */
  stop(): Promise<void>;
}

/** Pending commits per slot. Storing a small chunk takes about three times as long as running it. */
const commitsPerSlot = 2;

/** Minimum pause between two messages that wake the relay, because each costs it a statement. */
const eventsIntervalMs = 50;

export async function startWorker(
  config: AppConfig,
  log: Logger,
  onNotConsuming: () => void,
): Promise<RunningWorker> {
  const workerId = createId('worker');
  const prices = new Prices(loadPriceTable(config));
  const url = config.DATABASE_URL;
  const database = await Database.connect({
    url,
    poolMax: config.DATABASE_POOL,
    applicationName: 'millrace-worker',
  });
  const backend = { kind: config.queueBackend, url: config.REDIS_URL ?? url };
  await assertQueueBackendUsable(backend);
  const bus = await connectBus(backend, { log });
  const queues = connectQueues({ backend: { ...backend, poolMax: config.DATABASE_POOL }, log });
  const objects = await createObjectStorage(buildObjectStorageOptions(config));
  const outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: parseAllowedHosts(config.MILLRACE_INPUT_ALLOW_HOSTS),
  });
  const providers = createProviders({
    ...buildModelOptions(config),
    ...buildProviderOptions(config),
    download: downloadResultWith(outbound),
  });
  const files = new FileStore(database);
  const plans = new PlanStore(database);
  const chunks = new ChunkStore(database);
  const workers = new WorkerStore(database);
  const tasks = new TaskRunStore(database);
  const { route } = providers;
  const runtimes = new ModelRuntimes();
  const runningWork = new RunningWorkRegistry();
  const lanes = providers.list
    .filter(({ pool }) => config.WORKER_POOLS.includes(pool))
    .map(({ pool, id }) => buildLane(pool, id));
  const commitQueue = new CommitQueue(commitsPerSlot * config.WORKER_SLOTS * lanes.length);
  const eventsCommitted = new Coalescer<null>(
    eventsIntervalMs,
    () => void bus.publish('events.committed', {}),
  );
  const { LINE_MAX_BYTES: lineMaxBytes, BATCH_MAX_LINES: batchMaxLines } = config;
  const common = { workerId, objects, bus, runningWork, route, prices, media: { files, objects, outbound } };
  const hosts = startQueueHosts({
    queues,
    lanes,
    batchSlots: config.WORKER_SLOTS,
    directSlots: config.WORKER_DIRECT_SLOTS,
    chunkDeps: {
      ...common,
      chunks,
      completion: new BatchCompletionStore(database),
      commitQueue,
      checkpoints: new CheckpointStore(database),
      inputFiles: new InputFiles(files),
      runtimes,
      lineMaxBytes,
    },
    taskDeps: {
      ...common,
      tasks,
      runtimes,
      queues,
      publishEventsCommitted: () => eventsCommitted.push('', null),
    },
    planDeps: { ...common, plans, files, results: new ResultStore(database), lineMaxBytes, batchMaxLines },
    log,
  });
  const isConsuming = () => hosts.every((host) => host.getHealth().healthy);
  const { WORKER_HTTP_PORT: port, HOST: host } = config;
  const server = port === undefined ? null : await startWorkerServer({ port, host, isConsuming });
  const interrupt = (filter: CancelFilter) => hosts.forEach((host) => host.cancel(filter));
  // A missed message is harmless: the next heartbeat also reports work that has ended.
  await bus.subscribe('batch.closing', interrupt, () => undefined);
  await bus.subscribe('task.cancel', interrupt, () => undefined);
  const models = new ModelReconciler({
    providers: providers.list,
    pools: config.WORKER_POOLS,
    desiredModels: new DesiredModelStore(database),
    log,
  });
  const reconcileModels = () => void models.reconcile();
  await bus.subscribe('desired_models.changed', reconcileModels, reconcileModels);
  reconcileModels();
  const accelerators = watchAccelerators();
  const heartbeat = startHeartbeat({
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
      device: accelerators.getState(),
    }),
    onEnded: interrupt,
    onNotConsuming,
    log,
  });
  if (config.WORKER_POOLS.includes('local')) void preloadModels(providers, config.MODELS_PRELOAD, log);
  log.info({ workerId, pools: config.WORKER_POOLS, slots: config.WORKER_SLOTS }, 'worker ready');

  return {
    async stop() {
      await Promise.all(hosts.map((host) => host.drain()));
      await commitQueue.drain();
      await heartbeat.stop();
      accelerators.stop();
      eventsCommitted.flush();
      await providers.close().catch(() => undefined);
      server?.close();
      await Promise.allSettled([bus.close(), queues.close(), objects.close(), outbound.close()]);
      await database.close();
    },
  };
}
