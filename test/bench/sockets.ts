/**
 * Two thousand sockets on one API process, each subscribed to one of 200 tasks with two progress updates a second. Measures
 * the time from the update message to the state at each socket, the API's CPU, and whether its memory stays bounded when
 * clients do not read. The sockets are in this process, so that one clock measures both ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import {
  createId,
  type ClientToServer,
  type LiveState,
  type ServerToClient,
  type SubscribeAck,
  type TaskObject,
} from '@millrace/contracts';
import { Database, TaskRunStore, TaskStore, WorkerStore, type ClaimedTask } from '#database';
import { connectBus, type Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { withDeployment, type Deployment } from './deployment.ts';
import { cpuSeconds, resetPeakRss, peakRss, rss } from './process-usage.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const defaultSockets = 2_000;
const taskCount = 200;
const perSecond = 2;
const seconds = 60;
/** Number of sockets that stop reading. */
const stalled = 20;
const connectAtOnce = 50;
const worker = { id: 'bench-sockets', pools: [], slots: 0, host: 'bench', pid: 0, version: 'bench' };

export const sockets: Benchmark = {
  name: 'sockets',
  title: `${defaultSockets} sockets on one API process, ${taskCount} tasks with ${perSecond} progress signals a second each`,
  run: (options) =>
    withDeployment(options, async (deps) => {
      const tasks = await startTasks(deps);
      try {
        return await measure(deps, tasks, options);
      } finally {
        await tasks.close();
      }
    }),
};

type Client = Socket<ServerToClient, ClientToServer>;

interface RunningTasks {
  readonly running: readonly ClaimedTask[];
  readonly clients: Client[];
  /** Stores a task's progress, as its worker does. */
  write(task: ClaimedTask, percent: number): Promise<unknown>;
  /** Publishes the update message. */
  signal(task: ClaimedTask): void;
  close(): Promise<void>;
}

async function measure(
  deps: Deployment,
  driver: RunningTasks,
  { print, lines }: BenchOptions,
): Promise<Figures> {
  const { clients, running } = driver;
  const count = lines ?? defaultSockets;
  const api = deps.processes.find(({ name }) => name === 'api')!.pid;
  const postgres = deps.processes.find(({ name }) => name === 'postgres')?.pid;
  const emptyMiB = rss(api);
  const delays = new DelayRecorder();
  const connecting = performance.now();
  for (let from = 0; from < count; from += connectAtOnce) {
    const some = Array.from({ length: Math.min(connectAtOnce, count - from) }, (_, nth) => from + nth);
    clients.push(
      ...(await Promise.all(some.map((nth) => subscribe(deps, running[nth % taskCount]!.taskId, delays)))),
    );
  }
  const connectS = (performance.now() - connecting) / 1_000;
  for (const client of clients.slice(0, stalled)) stopReading(client);
  const listening = clients.length - Math.min(stalled, clients.length);
  await updateAll(driver, delays, 5, 0); // warm-up: query plans, caches and connections
  delays.clear();
  const [openMiB, apiCpu, ownCpu] = [rss(api), cpuSeconds(api), process.cpuUsage()];
  const postgresCpu = postgres === undefined ? 0 : cpuSeconds(postgres, true);
  resetPeakRss(api);
  const began = performance.now();
  await updateAll(driver, delays, seconds, 5 * perSecond);
  await sleep(1_000);
  const tookS = (performance.now() - began) / 1_000;
  const own = process.cpuUsage(ownCpu);
  const cores = (cpu: number) => rounded(cpu / tookS, 2);
  const sorted = delays.delays.toSorted((a, b) => a - b);
  const at = (share: number) =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!, 1);
  const expected = seconds * perSecond * listening;
  const connected = clients.filter(({ connected }) => connected).length;
  const memory = { emptyMiB, openMiB, peakMiB: peakRss(api), endMiB: rss(api) };
  printTable(
    ['update message to state at a socket, ms', 'steps', 'p50', 'p99', 'max'],
    [[`${listening} sockets that read`, sorted.length, at(0.5), at(0.99), at(1)]],
    print,
  );
  print(`\n${expected} steps expected; ${delays.overtaken} of them were included in a newer state`);
  print(
    `${count} sockets in ${rounded(connectS, 1)} s; ${connected} connected at the end, ${stalled} did not read`,
  );
  print(
    `CPU in cores: API ${cores(cpuSeconds(api) - apiCpu)}, Postgres ${cores(postgresCpu === 0 ? 0 : cpuSeconds(postgres!, true) - postgresCpu)}, this process ${cores((own.user + own.system) / 1e6)}`,
  );
  print(
    `the API’s memory in MiB: ${rounded(memory.emptyMiB)} without sockets, ${rounded(memory.openMiB)} with them, ${rounded(memory.peakMiB)} at most, ${rounded(memory.endMiB)} at the end`,
  );
  return {
    sockets: count,
    connect_seconds: rounded(connectS, 1),
    steps: sorted.length,
    steps_per_second: rounded(sorted.length / tookS),
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    max_ms: at(1),
    expected,
    overtaken: delays.overtaken,
    api_cpu_cores: cores(cpuSeconds(api) - apiCpu),
    client_cpu_cores: cores((own.user + own.system) / 1e6),
    api_rss_mib_empty: rounded(memory.emptyMiB),
    api_rss_mib_open: rounded(memory.openMiB),
    api_rss_mib_peak: rounded(memory.peakMiB),
    api_rss_mib_end: rounded(memory.endMiB),
  };
}

/** Records when each step of each task was signalled, and the delay until each socket had a state that includes it. */
class DelayRecorder {
  readonly delays: number[] = [];
  /** Steps that a socket did not get itself, but as part of a newer state. */
  overtaken = 0;
  private readonly signalledAt = new Map<string, number>();

  recordSignal(taskId: string, step: number): void {
    this.signalledAt.set(`${taskId} ${step}`, performance.now());
  }

  recordState(taskId: string, after: number, newest: number): void {
    for (let step = after + 1; step <= newest; step++) {
      const at = this.signalledAt.get(`${taskId} ${step}`);
      if (at === undefined) continue;
      this.delays.push(performance.now() - at);
      if (step < newest) this.overtaken++;
    }
  }

  clear(): void {
    this.delays.length = 0;
    this.overtaken = 0;
    this.signalledAt.clear();
  }
}

async function subscribe(deps: Deployment, taskId: string, delays: DelayRecorder): Promise<Client> {
  const options = {
    auth: { apiKey: deps.apiKey },
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
  };
  const client: Client = io(deps.url, options);
  let last = 0;
  client.on('state', (state) => {
    const percent = (state as LiveState & { data: TaskObject }).data.progress?.percent ?? 0;
    const step = Math.round(percent * 100);
    // A state may arrive twice; only the first counts.
    if (step > last) delays.recordState(taskId, last, step);
    last = Math.max(last, step);
  });
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve);
    client.once('connect_error', reject);
  });
  const answer: SubscribeAck = await client.timeout(30_000).emitWithAck('subscribe', { task: taskId });
  if (!answer.ok) throw new Error(`the subscription was refused: ${answer.error.message}`);
  return client;
}

/** The kernel buffers some of the data; the rest stays in the API. */
function stopReading(client: Client): void {
  const { transport } = client.io.engine as unknown as { transport: { ws: { pause(): void } } };
  transport.ws.pause();
}

/** Updates the tasks one after the other, evenly spread over the interval between two steps of a task. */
async function updateAll(
  driver: RunningTasks,
  delays: DelayRecorder,
  forS: number,
  from: number,
): Promise<void> {
  const begin = performance.now();
  const everyMs = 1_000 / (taskCount * perSecond);
  const writing: Promise<void>[] = [];
  for (let nth = 0; nth < taskCount * perSecond * forS; nth++) {
    const wait = begin + nth * everyMs - performance.now();
    if (wait > 0) await sleep(wait);
    const task = driver.running[nth % taskCount]!;
    const step = from + Math.floor(nth / taskCount) + 1;
    const written = driver.write(task, step / 100).then(() => {
      delays.recordSignal(task.taskId, step);
      driver.signal(task);
    });
    writing.push(written);
  }
  await Promise.all(writing);
}

async function startTasks({ databaseUrl, redisUrl }: Deployment): Promise<RunningTasks> {
  const database = await Database.connect({ url: databaseUrl, poolMax: 4, applicationName: 'bench' });
  const [store, runs, workers] = [
    new TaskStore(database),
    new TaskRunStore(database),
    new WorkerStore(database),
  ];
  const log = createLogger('bench', 'warn');
  const at = redisUrl
    ? ({ kind: 'redis', url: redisUrl } as const)
    : ({ kind: 'postgres', url: databaseUrl } as const);
  const bus: Bus = await connectBus(at, { log });
  // Without heartbeats the tasks would be requeued.
  const beat = () =>
    workers.recordHeartbeat(worker, {
      consuming: true,
      memoryBytes: 0,
      running: [],
      models: [],
      device: null,
    });
  await beat();
  const beating = setInterval(() => void beat(), 2_000);
  const [workspace] = await database.rows<{ id: string }>('select id from workspaces limit 1');
  const running = await Promise.all(
    Array.from({ length: taskCount }, () => createRunningTask(store, runs, workspace!.id)),
  );
  const clients: Client[] = [];
  return {
    running,
    clients,
    write: (task, percent) => runs.recordProgress(task, { percent, stage: 'running' }),
    signal: ({ taskId }) => bus.publishUpdate('task', { taskId }),
    async close() {
      for (const client of clients) client.disconnect();
      clearInterval(beating);
      await bus.close();
      await database.close();
    },
  };
}

async function createRunningTask(
  store: TaskStore,
  runs: TaskRunStore,
  workspaceId: string,
): Promise<ClaimedTask> {
  const id = createId('task');
  const made = {
    ...{ id, kind: 'text-to-video', model: 'sandbox/text-to-video', provider: 'sandbox', pool: 'remote' },
    ...{
      input: '{"model":"sandbox/text-to-video","prompt":"A mill"}',
      inputKey: null,
      metadata: null,
      priority: 0,
    },
    ...{
      runAt: null,
      deadline: null,
      startBy: null,
      timeoutMs: null,
      patienceMs: null,
      fallbackModels: null,
      work: 1,
      retryOf: null,
      apiKeyId: null,
    },
  };
  await store.create(workspaceId, made, null, 10_000);
  return (await runs.claim({ taskId: id, generation: 1 }, worker.id))!;
}
