/**
 * Starts a platform for a test: the built API and workers as processes, with their own database, data folder and port. The
 * test can stop, kill and restart each process.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI, { toFile } from 'openai';
import { nodeArgs as platformNodeArgs } from '../../deploy/embedded/supervised-child.ts';
import { createDatabase } from './postgres.ts';
import { s3Settings, type TestBucket } from './s3.ts';
import { ResponseReport } from './response-report.ts';
import { openBucketObjects, openDiskObjects, type StoredObjects } from './stored-objects.ts';

const here = fileURLToPath(new URL('../../', import.meta.url));
/** The repository's root, from the sources as from the build. */
const root = basename(here) === 'dist' ? dirname(here) : here;

export interface PlatformOptions {
  /** URL of the queue's Redis. Unset: the queue is in Postgres. */
  readonly redisUrl?: string;
  /** The bucket of the object storage. Unset: files in the data folder. */
  readonly bucket?: TestBucket | undefined;
  /** @default 1 */
  readonly workers?: number;
  /** Settings in addition to those of the harness. */
  readonly env?: Record<string, string>;
  /** A database of the test, for a test that stops the server. */
  readonly databaseUrl?: string;
  /** The database of `databaseUrl` has the schema already: no migrate process is started. */
  readonly isMigrated?: boolean;
  /** Arguments of node for the API, e.g. a preloaded module. */
  readonly apiNodeArgs?: readonly string[];
  /** Arguments of node for each worker. */
  readonly workerNodeArgs?: readonly string[];
  /** Check each JSON response of the API against the schema of its route; `stop` throws if one does not match. @default true */
  readonly checkResponses?: boolean;
}

export interface ManagedProcess {
  readonly name: string;
  readonly child: ChildProcess;
  /** Its output so far: the last megabyte. */
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
  /** Starts another API on another port. */
  addApi(nodeArgs?: readonly string[]): Promise<ManagedProcess & { readonly url: string }>;
  /** Starts the API again on the same port, after it was killed. */
  restartApi(nodeArgs?: readonly string[]): Promise<void>;
  /** The output of all processes. */
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
    const args = [...platformNodeArgs, ...nodeArgs, join(root, 'dist/apps', script)];
    const managed = launch(name, args, { ...env, ...over });
    all.push(managed);
    return managed;
  };
  if (!options.isMigrated) {
    const migrate = start('migrate', 'api/src/migrate.js');
    const [code] = (await once(migrate.child, 'exit')) as [number];
    if (code !== 0) throw new Error(`migrate ended with ${code}:\n${migrate.output()}`);
  }

  const url = `http://127.0.0.1:${port}`;
  const responses = options.checkResponses === false ? null : new ResponseReport(home);
  const startApi = async (nodeArgs: readonly string[] = [], on = port) => {
    const api = start('api', 'api/src/main.js', [...(responses?.nodeArgs ?? []), ...nodeArgs], {
      PORT: String(on),
      ...responses?.env,
    });
    await waitUntil(async () => (await fetch(`http://127.0.0.1:${on}/health/live`)).ok, {
      what: 'the API to answer',
      alive: api,
    });
    return api;
  };
  const workers: ManagedProcess[] = [];
  const addWorker = async () => {
    const worker = start(`worker-${all.length}`, 'worker/src/main.js', options.workerNodeArgs);
    await waitUntil(() => worker.output().includes('worker ready'), {
      what: 'a worker to be ready',
      alive: worker,
    });
    workers.push(worker);
    return worker;
  };
  // The API and the workers start side by side: each takes seconds of one core.
  const [api] = await Promise.all([
    startApi(options.apiNodeArgs),
    ...Array.from({ length: options.workers ?? 1 }, addWorker),
  ]);
  const { apiKey } = JSON.parse(await readFile(join(home, 'credentials.json'), 'utf8')) as { apiKey: string };
  const platform: Platform = {
    url,
    apiKey,
    home,
    databaseUrl,
    client: new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 2 }),
    objects: options.bucket ? openBucketObjects(options.bucket) : openDiskObjects(home),
    workers,
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
      await responses?.assertNoMismatch();
    },
  };
  return platform;
}

const launched = new Set<ChildProcess>();
// A test run that is interrupted leaves no process behind.
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

/** Resolves when the condition is true. @throws Error that names it after `withinMs`, or when the process `alive` exits */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  options: { what: string; withinMs?: number; everyMs?: number; alive?: ManagedProcess },
): Promise<void> {
  const deadline = Date.now() + (options.withinMs ?? 60_000);
  for (;;) {
    try {
      if (await condition()) return;
    } catch {
      // The condition may fail until it can be true, e.g. while a server starts.
    }
    const { alive } = options;
    if (alive && (alive.child.exitCode !== null || alive.child.signalCode !== null)) {
      throw new Error(`${alive.name} exited while the test waited for ${options.what}:\n${alive.output()}`);
    }
    if (Date.now() > deadline) throw new Error(`timed out while waiting for ${options.what}`);
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 50));
  }
}

/** @returns a port of 127.0.0.1 that was free a moment ago. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Creates a batch of embedding lines with the `openai` client. @returns its id. */
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
