/**
 * A Redis for one suite: a `redis-server` on a free port, with its append-only file in a folder that is deleted when the
 * suite ends. The machine's own Redis is never used.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** The data folder, for a second server on the same data. */
  readonly dir: string;
  /** SIGTERM. When it resolves, acknowledged writes are on disk. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. Resolves when it answers. */
  start(): Promise<void>;
  /** FLUSHALL. */
  flush(): Promise<void>;
  /** SIGSTOP: connections stay open and get no answer. */
  pause(): void;
  resume(): void;
  /** Kills it, and removes the folder unless `dir` was given. */
  dispose(): Promise<void>;
}

export interface RedisOptions {
  /** @default a new temporary folder */
  readonly dir?: string;
  /** @default a free port */
  readonly port?: number;
  readonly password?: string;
}

/** @returns the path of `REDIS_SERVER`, or of a `redis-server` on PATH, or null. */
export function findRedisServer(): string | null {
  const named = process.env['REDIS_SERVER'];
  const places = (process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, 'redis-server'));
  for (const path of named ? [named] : places) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Try the next folder.
    }
  }
  return null;
}

/** @returns null, after a visible warning, if there is no `redis-server`. @throws Error in CI, which must have one. */
export async function startRedis(options: RedisOptions = {}): Promise<TestRedis | null> {
  const binary = findRedisServer();
  if (!binary) {
    if (process.env['CI'] === 'true') throw new Error('CI needs a redis-server: on PATH or in REDIS_SERVER');
    console.warn(
      `\n${'*'.repeat(78)}\n** NOT RUN ON REDIS: no redis-server on PATH or in REDIS_SERVER\n${'*'.repeat(78)}\n`,
    );
    return null;
  }
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'millrace-redis-'));
  const args = serverArguments(port, dir, options.password);
  const url = `redis://${options.password ? `:${options.password}@` : ''}127.0.0.1:${port}`;
  let server: ChildProcess | null = null;
  const killOnExit = (): void => void server?.kill('SIGKILL');
  process.on('exit', killOnExit);

  const terminate = async (signal: NodeJS.Signals): Promise<void> => {
    const child = server;
    server = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await exited;
  };
  const redis: TestRedis = {
    url,
    port,
    dir,
    stop: () => terminate('SIGTERM'),
    kill: () => terminate('SIGKILL'),
    async start() {
      if (server) throw new Error('this Redis is already running');
      server = spawn(binary, args, { stdio: 'ignore' });
      await waitUntilReady(url, server);
    },
    flush: () => withClient(url, async (client) => void (await client.flushall())),
    pause: () => void server?.kill('SIGSTOP'),
    resume: () => void server?.kill('SIGCONT'),
    async dispose() {
      await terminate('SIGKILL');
      process.off('exit', killOnExit);
      if (!options.dir) await rm(dir, { recursive: true, force: true });
    },
  };
  await redis.start();
  return redis;
}

function serverArguments(port: number, dir: string, password?: string): string[] {
  const settings: Record<string, string> = {
    port: String(port),
    bind: '127.0.0.1',
    dir,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
    loglevel: 'warning',
    ...(password && { requirepass: password }),
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

async function waitUntilReady(url: string, server: ChildProcess): Promise<void> {
  const until = Date.now() + 15_000;
  for (;;) {
    try {
      return await withClient(url, async (client) => void (await client.ping()));
    } catch (error) {
      if (server.exitCode !== null) throw new Error(`redis-server exited with ${server.exitCode}`);
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function withClient(url: string, work: (client: Redis) => Promise<void>): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await work(client);
  } finally {
    client.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
