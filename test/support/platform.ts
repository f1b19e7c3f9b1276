/**
 * The platform as its users meet it: the built API and workers as processes of their own, on a database, a data
 * folder and a port of their own, and with every process in the test's hands.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI, { toFile } from 'openai';
import { nodeArgs as ourNodeArgs } from '../../deploy/embedded/supervised-child.ts';
import { createDatabase } from './postgres.ts';
import { s3Settings, type TestBucket } from './s3.ts';
import { openBucketObjects, openDiskObjects, type StoredObjects } from './stored-objects.ts';

const here = fileURLToPath(new URL('../../', import.meta.url));
/** The repository's root, from the sources as from the build. */
const root = basename(here) === 'dist' ? dirname(here) : here;

export interface PlatformOptions {
  /** The queue's Redis; unset, it lives in Postgres. */
  readonly redisUrl?: string;
  /** Where the objects lie; unset, on disk under the data folder. */
  readonly bucket?: TestBucket | undefined;
  /** @default 1 */
  readonly workers?: number;
  /** Settings beside those that the harness decides. */
  readonly env?: Record<string, string>;
  /** A database server of the test's own, where the test is about to stop it. */
  readonly databaseUrl?: string;
  /** Arguments for the API's node, e.g. a preloaded module. */
  readonly apiNodeArgs?: readonly string[];
  /** The same for each worker's. */
  readonly workerNodeArgs?: readonly string[];
}

export interface ManagedProcess {
  readonly name: string;
  readonly child: ChildProcess;
  /** What it has printed so far, newest last, the first megabyte dropped as it grows. */
  readonly output: () => string;
}

export interface Platform {
  readonly url: string;
  readonly apiKey: string;
  readonly home: string;
  readonly databaseUrl: string;
  readonly client: OpenAI;
  readonly objects: StoredObjects;
  readonly workers: ManagedProcess[];
  api: ManagedProcess;
  /** Starts one more worker. */
  addWorker(): Promise<ManagedProcess>;
  /** Starts a second API beside the first, on a port of its own. */
  addApi(nodeArgs?: readonly string[]): Promise<ManagedProcess & { readonly url: string }>;
  /** Starts the API anew, on the same port, after it was killed. */
  restartApi(nodeArgs?: readonly string[]): Promise<void>;
  /** Everything that any process has printed. */
  output(): string;
  stop(): Promise<void>;
}

export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const database = options.databaseUrl ? null : await createDatabase();
  const databaseUrl = options.databaseUrl ?? database!.url;
  const home = await mkdtemp(join(tmpdir(), 'millrace-test-'));
  const port = await findFreePort();
  const env = {
    PATH: process.env['PATH'] ?? '',
    DATABASE_URL: databaseUrl,
    MILLRACE_HOME: home,
    PORT: String(port),
    LOG_LEVEL: 'info',
    ...(options.redisUrl && { REDIS_URL: options.redisUrl }),
    ...(options.bucket && s3Settings(options.bucket)),
    ...options.env,
  };
  const all: ManagedProcess[] = [];
  const start = (
    name: string,
    script: string,
    nodeArgs: readonly string[] = [],
    over: Record<string, string> = {},
  ) => {
    const args = [...ourNodeArgs, ...nodeArgs, join(root, 'dist/apps', script)];
    const managed = launch(name, args, { ...env, ...over });
    all.push(managed);
    return managed;
  };
  const migrate = start('migrate', 'api/src/migrate.js');
  const [code] = (await once(migrate.child, 'exit')) as [number];
  if (code !== 0) throw new Error(`migrate ended with ${code}:\n${migrate.output()}`);

  const url = `http://127.0.0.1:${port}`;
  const startApi = async (nodeArgs?: readonly string[], on = port) => {
    const api = start('api', 'api/src/main.js', nodeArgs, { PORT: String(on) });
    await waitUntil(async () => (await fetch(`http://127.0.0.1:${on}/health/live`)).ok, {
      what: 'the API to answer',
      alive: api,
    });
    return api;
  };
  const addWorker = async () => {
    const worker = start(`worker-${all.length}`, 'worker/src/main.js', options.workerNodeArgs);
    await waitUntil(() => worker.output().includes('worker ready'), {
      what: 'a worker to be ready',
      alive: worker,
    });
    platform.workers.push(worker);
    return worker;
  };
  const api = await startApi(options.apiNodeArgs);
  const { apiKey } = JSON.parse(await readFile(join(home, 'credentials.json'), 'utf8')) as { apiKey: string };
  const platform: Platform = {
    url,
    apiKey,
    home,
    databaseUrl,
    client: new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 2 }),
    objects: options.bucket ? openBucketObjects(options.bucket) : openDiskObjects(home),
    workers: [],
    api,
    addWorker,
    async addApi(nodeArgs) {
      const ownPort = await findFreePort();
      return { ...(await startApi(nodeArgs, ownPort)), url: `http://127.0.0.1:${ownPort}` };
    },
    async restartApi(nodeArgs) {
      platform.api = await startApi(nodeArgs);
    },
    output: () => all.map(({ name, output }) => `── ${name}\n${output()}`).join('\n'),
    async stop() {
      const running = all.filter(({ child }) => child.exitCode === null && child.signalCode === null);
      await Promise.all(
        running.map(async ({ child }) => {
          const gone = once(child, 'exit');
          child.kill('SIGCONT');
          child.kill('SIGTERM');
          const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
          await gone;
          clearTimeout(timer);
        }),
      );
      await rm(home, { recursive: true, force: true });
      await database?.drop();
    },
  };
  await Promise.all(Array.from({ length: options.workers ?? 1 }, addWorker));
  return platform;
}

const launched = new Set<ChildProcess>();
// A run that is broken off leaves no process of its own behind.
process.on('exit', () => launched.forEach((child) => child.kill('SIGKILL')));

function launch(name: string, args: string[], env: Record<string, string>): ManagedProcess {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  launched.add(child);
  child.once('exit', () => launched.delete(child));
  let text = '';
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-1_048_576);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return { name, child, output: () => text };
}

/** Waits for something to become true. @throws Error naming it when time is up or the process it needs has ended. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  options: { what: string; withinMs?: number; everyMs?: number; alive?: ManagedProcess },
): Promise<void> {
  const deadline = Date.now() + (options.withinMs ?? 60_000);
  for (;;) {
    try {
      if (await condition()) return;
    } catch {
      // Not yet.
    }
    const { alive } = options;
    if (alive && (alive.child.exitCode !== null || alive.child.signalCode !== null)) {
      throw new Error(`${alive.name} ended while the test waited for ${options.what}:\n${alive.output()}`);
    }
    if (Date.now() > deadline) throw new Error(`waited in vain for ${options.what}`);
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 50));
  }
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Runs a batch of embedding lines through the stock client up to its creation. @returns its id. */
export async function submitBatch(
  platform: Pick<Platform, 'client'>,
  jsonl: string | Buffer,
): Promise<string> {
  const file = await platform.client.files.create({
    file: await toFile(Buffer.from(jsonl), 'input.jsonl'),
    purpose: 'batch',
  });
  const batch = await platform.client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/embeddings',
    completion_window: '24h',
  });
  return batch.id;
}

export const terminalStatuses = ['completed', 'failed', 'expired', 'cancelled'];
