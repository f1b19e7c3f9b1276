/**
 * What `npm start` runs: from settings to a platform that answers, one stage standing on the other, and down again
 * in reverse. Nothing of it needs an orderly end: the next start finds and clears what a kill left.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '#config';
import { StartupError } from './startup-error.ts';
import {
  superviseChild,
  runToCompletion,
  type ChildContext,
  type SupervisedChild,
} from './supervised-child.ts';
import { openDataFolder } from './data-folder.ts';
import { supervisePostgres } from './supervised-postgres.ts';
import { acquireLock } from './supervisor-lock.ts';
import type { SupervisorOutput } from './output.ts';
import { findEphemeralPort, assertPortFree } from './tcp-ports.ts';
import type { PostgresOptions } from './postgres.ts';
import { stopOrphans } from './process-records.ts';

export interface Programs {
  readonly migrate: string;
  readonly api: string;
  readonly worker: string;
}

export interface SupervisorOptions {
  readonly config: Config;
  /** What the children inherit, beside what is decided here. */
  readonly env: NodeJS.ProcessEnv;
  readonly programs: Programs;
  readonly output: SupervisorOutput;
  readonly postgres?: Omit<PostgresOptions, 'log' | 'home'>;
  /** How long a stopped worker may take to hand back its work. */
  readonly workerGraceMs?: number;
}

export interface Supervisor {
  /** Where the API answers, once `start` has resolved. */
  readonly url: string;
  /** @throws CannotStart, or Stopped when `stop` came first; all that had started is stopped by then. */
  start(): Promise<void>;
  /** Workers, API, database, lock, in this order. */
  stop(): Promise<void>;
  /** The same at once, without waiting for work in hand. */
  kill(): Promise<void>;
  /** Starts API and workers anew, e.g. after a build. */
  reload(): void;
}

export class StoppedError extends Error {}

interface Stage {
  stop(): Promise<void>;
  kill(): Promise<void>;
}

const orphanGraceMs = 5_000;
const apiGraceMs = 15_000;
const apiStartMs = 120_000;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { config, output } = options;
  const home = config.MILLRACE_HOME;
  const halt = new AbortController();
  const stages: Stage[] = [];
  const children: SupervisedChild[] = [];
  const around: ChildContext = {
    home,
    onLine: output.writeChildLine,
    log: (line) => output.log(line, 'warn'),
  };
  let port = config.PORT;
  let databaseUrl = config.DATABASE_URL;
  let starting: Promise<void> = Promise.resolve();
  let stopped: Promise<void> | null = null;

  const env = (): NodeJS.ProcessEnv => ({
    ...options.env,
    DATABASE_URL: databaseUrl,
    MILLRACE_HOME: home,
    PORT: String(port),
  });
  const reload = (): void => children.forEach((child) => child.setEnv(env(), true));

  async function prepare(): Promise<void> {
    await openDataFolder(home);
    if (port === 0) port = await findEphemeralPort(config.HOST);
    const lock = await acquireLock(home, buildLocalUrl(config.HOST, port));
    stages.push({ stop: lock.release, kill: lock.release });
    await stopOrphans(home, orphanGraceMs, output.log);
    await assertPortFree(port, config.HOST);
  }

  async function startDatabase(): Promise<void> {
    if (config.DATABASE_URL) return;
    const postgres = await supervisePostgres({ home, ...options.postgres }, output, (url) => {
      databaseUrl = url;
      reload();
    });
    databaseUrl = postgres.url;
    stages.push({ stop: () => postgres.stop('fast'), kill: () => postgres.stop('immediate') });
  }

  async function migrate(): Promise<void> {
    const program = { name: 'migrate', script: options.programs.migrate, env: env() };
    const code = await runToCompletion(program, around, halt.signal);
    halt.signal.throwIfAborted();
    if (code !== 0)
      throw new StartupError(
        `The database could not be brought up to date (exit code ${code}): see the lines above.`,
      );
  }

  function startChildren(names: readonly string[], script: string, graceMs: number): SupervisedChild[] {
    const started = names.map((name) => superviseChild({ name, script, env: env() }, around));
    children.push(...started);
    stages.push({
      stop: async () => void (await Promise.all(started.map((child) => child.stop(graceMs)))),
      kill: async () => started.forEach((child) => child.kill()),
    });
    return started;
  }

  async function startAll(): Promise<void> {
    const steps = [
      prepare,
      startDatabase,
      migrate,
      async () => {
        const [api] = startChildren(['api'], options.programs.api, apiGraceMs);
        await waitUntilLive(buildLocalUrl(config.HOST, port), () => api?.crashes ?? 0, halt.signal);
      },
      async () => {
        const names = workerNames(config.WORKER_COUNT);
        const workers = startChildren(names, options.programs.worker, options.workerGraceMs ?? 30_000);
        await Promise.all(workers.map(({ launched }) => launched));
      },
    ];
    for (const step of steps) {
      halt.signal.throwIfAborted();
      await step();
    }
  }

  const unwind = async (how: 'stop' | 'kill'): Promise<void> => {
    for (let stage = stages.pop(); stage; stage = stages.pop()) await stage[how]();
  };
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      halt.abort(new StoppedError('stopped'));
      await starting.catch(() => {});
      await unwind('stop');
    })());

  return {
    get url() {
      return config.PUBLIC_URL ?? buildLocalUrl(config.HOST, port);
    },
    start() {
      starting = startAll();
      return starting.catch(async (error: unknown) => {
        if (!halt.signal.aborted) await unwind('stop');
        throw error;
      });
    },
    stop,
    async kill() {
      halt.abort(new StoppedError('killed'));
      // Beside an orderly stop that hangs in one stage: its children first, then what it has not reached.
      children.forEach((child) => child.kill());
      await unwind('kill');
      await Promise.race([stopped, sleep(3_000)]);
    },
    reload,
  };
}

function workerNames(count: number): string[] {
  return count === 1 ? ['worker'] : Array.from({ length: count }, (_, index) => `worker-${index + 1}`);
}

/** Where this machine reaches what listens on `host`. */
function buildLocalUrl(host: string, port: number): string {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${local.includes(':') ? `[${local}]` : local}:${port}`;
}

async function waitUntilLive(url: string, deaths: () => number, signal: AbortSignal): Promise<void> {
  const end = Date.now() + apiStartMs;
  while (Date.now() < end) {
    const answer = await fetch(`${url}/health/live`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]),
    }).catch(() => null);
    signal.throwIfAborted();
    await answer?.body?.cancel();
    if (answer?.ok) return;
    if (deaths() >= 3) throw new StartupError('The API ends before it answers: see its lines above.');
    await sleep(50, undefined, { signal }).catch(() => {});
  }
  throw new StartupError(
    `The API did not answer on ${url} within ${apiStartMs / 1_000} s: see its lines above.`,
  );
}
