/**
 * Starts the platform for a benchmark as `npm start` runs it: one supervisor with its own database, API and worker, and a
 * Redis if that is the backend. Everything is removed at the end.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { listProcessRecords } from '../../deploy/embedded/process-records.ts';
import { findFreePort, waitUntil } from '../support/platform.ts';
import { startRedis } from '../support/redis.ts';
import type { BackendName } from './benchmark.ts';

export interface Deployment {
  readonly url: string;
  readonly apiKey: string;
  readonly databaseUrl: string;
  /** Redis of the queue and the bus; null if they are on Postgres. */
  readonly redisUrl: string | null;
  readonly client: OpenAI;
  /** Supervisor, API, workers and Postgres. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
  /** For files that the benchmark writes. */
  readonly folder: string;
}

export interface DeploymentOptions {
  readonly backend: BackendName;
  /** Folder to which each process writes a CPU profile when it exits. */
  readonly profile?: string | null;
  /** Settings in addition to those of every benchmark. */
  readonly env?: Readonly<Record<string, string>>;
}

const program = fileURLToPath(new URL('../../deploy/embedded/start.js', import.meta.url));

/** Starts a platform, calls `run`, and removes everything. */
export async function withDeployment<T>(
  { backend, profile, env }: DeploymentOptions,
  run: (deps: Deployment) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  await chmod(folder, 0o711); // when started by root, the database's account must enter it
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    const redis = backend === 'redis' ? await startRedis() : null;
    if (backend === 'redis' && !redis) throw new Error('no redis-server on PATH or in REDIS_SERVER');
    if (redis) undo.push(() => redis.dispose());
    const home = join(folder, 'home');
    const port = await findFreePort();
    const { PATH = '', NODE_OPTIONS = '' } = process.env;
    const profiling = profile ? ` --cpu-prof --cpu-prof-dir=${profile}` : '';
    const supervisor = start({
      PATH,
      NODE_OPTIONS: NODE_OPTIONS + profiling,
      MILLRACE_HOME: home,
      PORT: String(port),
      LOG_FORMAT: 'json',
      ...(redis && { REDIS_URL: redis.url }),
      ...env,
    });
    undo.push(() => end(supervisor.child));
    await supervisor.untilRunning();
    const url = `http://127.0.0.1:${port}`;
    const { apiKey } = JSON.parse(await readFile(join(home, 'credentials.json'), 'utf8')) as {
      apiKey: string;
    };
    const note = JSON.parse(await readFile(join(home, 'postgres.json'), 'utf8')) as Record<string, string>;
    const children = await waitForProcesses(home);
    return await run({
      url,
      apiKey,
      databaseUrl: `postgres://millrace:${note['password']}@127.0.0.1:${note['port']}/millrace`,
      redisUrl: redis?.url ?? null,
      client: new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 }),
      processes: [{ name: 'supervisor', pid: supervisor.child.pid! }, ...children],
      folder,
    });
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

function start(env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ['--enable-source-maps', program], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const keep = (chunk: Buffer) => void (text = (text + chunk.toString()).slice(-100_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  return {
    child,
    async untilRunning() {
      const what = 'the platform to print that it runs';
      await waitUntil(() => text.includes('running on http') || isOver(), { what, withinMs: 120_000 });
      if (isOver()) throw new Error(`the platform did not start:\n${text}`);
    },
  };
}

/** The platform prints that it runs after the migration; the record of the worker may be written a little later. */
async function waitForProcesses(home: string) {
  const has = async (name: string) => (await listProcessRecords(home)).some((record) => record.name === name);
  await waitUntil(() => has('worker'), { what: 'the worker to start' });
  return (await listProcessRecords(home)).map(({ name, pid }) => ({ name, pid }));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  await exited;
  clearTimeout(timer);
}
