/**
 * Two thousand sockets on one API process, each following one of 200 tasks that move twice a second: from the signal to
 * the state at each socket, what the API pays for it, and whether it holds less than what clients that read nothing
 * leave with it. The sockets are in this process: one clock measures both ends.
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
const tasks = 200;
const perSecond = 2;
const seconds = 60;
/** Of the sockets, those that stop to read. */
const stalled = 20;
const connectAtOnce = 50;
const worker = { id: 'bench-sockets', pools: [], slots: 0, host: 'bench', pid: 0, version: 'bench' };

export const sockets: Benchmark = {
  name: 'sockets',
  title: `${defaultSockets} sockets on one API process, ${tasks} tasks with ${perSecond} progress signals a second each`,
  run: (options) =>
    withDeployment(options, async (deps) => {
      const stage = await setStage(deps);
      try {
        return await measure(deps, stage, options);
      } finally {
        await stage.close();
      }
    }),
};

type Client = Socket<ServerToClient, ClientToServer>;

interface Stage {
  readonly running: readonly ClaimedTask[];
  readonly clients: Client[];
  /** Writes a task's progress, and says that it moved, as its worker does. */
  write(task: ClaimedTask, percent: number): Promise<unknown>;
  signal(task: ClaimedTask): void;
  close(): Promise<void>;
}

async function measure(deps: Deployment, stage: Stage, { print, lines }: BenchOptions): Promise<Figures> {
  const { clients, running } = stage;
  const count = lines ?? defaultSockets;
  const api = deps.processes.find(({ name }) => name === 'api')!.pid;
  const postgres = deps.processes.find(({ name }) => name === 'postgres')?.pid;
  const emptyMiB = rss(api);
  const watch = new Watch();
  const connecting = performance.now();
  for (let from = 0; from < count; from += connectAtOnce) {
    const some = Array.from({ length: Math.min(connectAtOnce, count - from) }, (_, nth) => from + nth);
    clients.push(
      ...(await Promise.all(some.map((nth) => follow(deps, running[nth % tasks]!.taskId, watch)))),
    );
  }
  const connectS = (performance.now() - connecting) / 1_000;
  for (const client of clients.slice(0, stalled)) stopReading(client);
  const listening = clients.length - Math.min(stalled, clients.length);
  await moveAll(stage, watch, 5, 0); // plans, caches and connections are there from now on
  watch.clear();
  const [openMiB, apiCpu, ownCpu] = [rss(api), cpuSeconds(api), process.cpuUsage()];
  const postgresCpu = postgres === undefined ? 0 : cpuSeconds(postgres, true);
  resetPeakRss(api);
  const began = performance.now();
  await moveAll(stage, watch, seconds, 5 * perSecond);
  await sleep(1_000);
  const tookS = (performance.now() - began) / 1_000;
  const own = process.cpuUsage(ownCpu);
  const cores = (cpu: number) => rounded(cpu / tookS, 2);
  const delays = watch.delays.toSorted((a, b) => a - b);
  const at = (share: number) =>
    rounded(delays[Math.min(delays.length - 1, Math.floor(delays.length * share))]!, 1);
  const expected = seconds * perSecond * listening;
  const connected = clients.filter(({ connected }) => connected).length;
  const memory = { emptyMiB, openMiB, peakMiB: peakRss(api), endMiB: rss(api) };
  printTable(
    ['signal to state at a socket, ms', 'steps', 'p50', 'p99', 'most'],
    [[`${listening} sockets that read`, delays.length, at(0.5), at(0.99), at(1)]],
    print,
  );
  print(`\n${expected} steps were to be seen; ${watch.overtaken} were seen only by a newer state`);
  print(
    `${count} sockets in ${rounded(connectS, 1)} s; ${connected} connected at the end, ${stalled} read nothing`,
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
    steps: delays.length,
    steps_per_second: rounded(delays.length / tookS),
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    max_ms: at(1),
    expected,
    overtaken: watch.overtaken,
    api_cpu_cores: cores(cpuSeconds(api) - apiCpu),
    client_cpu_cores: cores((own.user + own.system) / 1e6),
    api_rss_mib_empty: rounded(memory.emptyMiB),
    api_rss_mib_open: rounded(memory.openMiB),
    api_rss_mib_peak: rounded(memory.peakMiB),
    api_rss_mib_end: rounded(memory.endMiB),
  };
}

/** When each step of each task was signalled, and how long until each socket had a state that includes it. */
class Watch {
  readonly delays: number[] = [];
  /** Steps that a socket saw only by a newer one. */
  overtaken = 0;
  private readonly movedAt = new Map<string, number>();

  moved(taskId: string, step: number): void {
    this.movedAt.set(`${taskId} ${step}`, performance.now());
  }

  seen(taskId: string, after: number, newest: number): void {
    for (let step = after + 1; step <= newest; step++) {
      const at = this.movedAt.get(`${taskId} ${step}`);
      if (at === undefined) continue;
      this.delays.push(performance.now() - at);
      if (step < newest) this.overtaken++;
    }
  }

  clear(): void {
    this.delays.length = 0;
    this.overtaken = 0;
    this.movedAt.clear();
  }
}

async function follow(deps: Deployment, taskId: string, watch: Watch): Promise<Client> {
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
    // A state may come twice; what counts is when a step was first seen.
    if (step > last) watch.seen(taskId, last, step);
    last = Math.max(last, step);
  });
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve);
    client.once('connect_error', reject);
  });
  const answer: SubscribeAck = await client.timeout(30_000).emitWithAck('subscribe', { task: taskId });
  if (!answer.ok) throw new Error(`a socket may not follow: ${answer.error.message}`);
  return client;
}

/** The kernel takes what fits into its buffers; all else stays with the API. */
function stopReading(client: Client): void {
  const { transport } = client.io.engine as unknown as { transport: { ws: { pause(): void } } };
  transport.ws.pause();
}

/** Each task in its turn, spread over the time between two of its steps. */
async function moveAll(stage: Stage, watch: Watch, forS: number, from: number): Promise<void> {
  const begin = performance.now();
  const everyMs = 1_000 / (tasks * perSecond);
  const writing: Promise<void>[] = [];
  for (let nth = 0; nth < tasks * perSecond * forS; nth++) {
    const wait = begin + nth * everyMs - performance.now();
    if (wait > 0) await sleep(wait);
    const task = stage.running[nth % tasks]!;
    const step = from + Math.floor(nth / tasks) + 1;
    const written = stage.write(task, step / 100).then(() => {
      watch.moved(task.taskId, step);
      stage.signal(task);
    });
    writing.push(written);
  }
  await Promise.all(writing);
}

async function setStage({ databaseUrl, redisUrl }: Deployment): Promise<Stage> {
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
  // Whoever holds tasks and is not heard of loses them.
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
    Array.from({ length: tasks }, () => runningTask(store, runs, workspace!.id)),
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

async function runningTask(store: TaskStore, runs: TaskRunStore, workspaceId: string): Promise<ClaimedTask> {
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
      fallbackModels: null,
      work: 1,
      retryOf: null,
      apiKeyId: null,
    },
  };
  await store.create(workspaceId, made, null, 10_000);
  return (await runs.claim({ taskId: id, generation: 1 }, worker.id))!;
}
