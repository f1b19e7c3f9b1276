/**
 * The supervisor of `npm start`. It starts the stages in order (data folder, Postgres, migrations, API, workers) and stops
 * them in reverse. It can be killed at any time: the next start stops or adopts the processes that are left.
 */
import { raceAbort, waitAtMost } from '#async';
import { configExitCode, type Config } from '#config';
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
import { assertPortFree } from './tcp-ports.ts';
import { findUsablePort } from './usable-port.ts';
import type { PostgresOptions } from './postgres.ts';
import { stopOrphans } from './process-records.ts';

export interface Programs {
  readonly migrate: string;
  /** Makes an admin key, writes it to credentials.json. */
  readonly newKey: string;
  readonly api: string;
  readonly worker: string;
}

export interface SupervisorOptions {
  readonly config: Config;
  /** The environment of the children, to which the supervisor adds its own settings. */
  readonly env: NodeJS.ProcessEnv;
  readonly programs: Programs;
  readonly output: SupervisorOutput;
  /** Make a new admin key before the API starts. @default false */
  readonly newKey?: boolean;
  readonly postgres?: Omit<PostgresOptions, 'log' | 'home'>;
  /** How long a worker may take to release its work when it is stopped. */
  readonly workerGraceMs?: number;
}

export interface Supervisor {
  /** Where the API answers, after `start` has resolved. */
  readonly url: string;
  /** @throws StartupError, or StoppedError when `stop` was called. All stages that had started are stopped by then. */
  start(): Promise<void>;
  /** Stops workers, API, database and lock, in this order. */
  stop(): Promise<void>;
  /** Kills all processes without waiting for running work. */
  kill(): Promise<void>;
  /** Restarts the API and the workers, e.g. after a build. */
  reload(): void;
}

export class StoppedError extends Error {}

interface Stage {
  stop(): Promise<void>;
  kill(): Promise<void>;
}

const orphanGraceMs = 5_000;
const apiGraceMs = 15_000;
const childStartMs = 120_000;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { config, output } = options;
  const home = config.MILLRACE_HOME;
  const stopping = new AbortController();
  const stages: Stage[] = [];
  const children: SupervisedChild[] = [];
  const context: ChildContext = {
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

  async function prepareDataFolder(): Promise<void> {
    await openDataFolder(home);
    if (port === 0) port = await findUsablePort(config.HOST);
    const lock = await acquireLock(home, buildLocalUrl(config.HOST, port));
    stages.push({ stop: lock.release, kill: lock.release });
    await stopOrphans(home, orphanGraceMs, output.log);
    await assertPortFree(port, config.HOST);
    if (config.WORKER_HTTP_PORT !== undefined && config.WORKER_COUNT > 0) {
      await assertPortFree(config.WORKER_HTTP_PORT, config.HOST, 'WORKER_HTTP_PORT');
    }
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

  async function runProgram(name: string, script: string): Promise<void> {
    const program = { name, script, env: env() };
    const { code, startFailure } = await runToCompletion(program, context, stopping.signal);
    stopping.signal.throwIfAborted();
    if (code === 0) return;
    const message = startFailure ?? `${name} failed (exit code ${code}): see its output above.`;
    throw new StartupError(message, { exitCode: code === configExitCode ? configExitCode : 1 });
  }

  function startChildren(names: readonly string[], script: string, graceMs: number): SupervisedChild[] {
    const started = names.map((name) => superviseChild({ name, script, env: env() }, context));
    children.push(...started);
    stages.push({
      stop: async () => void (await Promise.all(started.map((child) => child.stop(graceMs)))),
      kill: async () => started.forEach((child) => child.kill()),
    });
    return started;
  }

  async function waitUntilReady(started: readonly SupervisedChild[]): Promise<void> {
    const timeout = AbortSignal.timeout(childStartMs);
    const signal = AbortSignal.any([stopping.signal, timeout]);
    const ready = Promise.all(started.map((child) => child.ready));
    await raceAbort(ready, signal).catch((error: unknown) => {
      stopping.signal.throwIfAborted();
      if (!timeout.aborted) throw error;
      const names = started.map(({ name }) => name).join(', ');
      throw new StartupError(`${names} not ready within ${childStartMs / 1_000} s: see the output above.`);
    });
  }

  async function startAll(): Promise<void> {
    const steps = [
      prepareDataFolder,
      startDatabase,
      () => runProgram('migrate', options.programs.migrate),
      async () => {
        if (options.newKey) await runProgram('new-key', options.programs.newKey);
      },
      () => waitUntilReady(startChildren(['api'], options.programs.api, apiGraceMs)),
      () => {
        const names = workerNames(config.WORKER_COUNT);
        return waitUntilReady(startChildren(names, options.programs.worker, options.workerGraceMs ?? 30_000));
      },
    ];
    for (const step of steps) {
      stopping.signal.throwIfAborted();
      await step();
    }
  }

  const stopStages = async (how: 'stop' | 'kill'): Promise<void> => {
    for (let stage = stages.pop(); stage; stage = stages.pop()) await stage[how]();
  };
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      stopping.abort(new StoppedError('stopped'));
      await starting.catch(() => {});
      await stopStages('stop');
    })());

  return {
    get url() {
      return config.PUBLIC_URL ?? buildLocalUrl(config.HOST, port);
    },
    start() {
      starting = startAll();
      return starting.catch(async (error: unknown) => {
        if (!stopping.signal.aborted) await stopStages('stop');
        throw error;
      });
    },
    stop,
    async kill() {
      stopping.abort(new StoppedError('killed'));
      // A `stop` may hang in one stage meanwhile: its children are killed first, then the stages that it has not reached.
      children.forEach((child) => child.kill());
      await stopStages('kill');
      if (stopped) await waitAtMost(3_000, stopped);
    },
    reload,
  };
}

function workerNames(count: number): string[] {
  return count === 1 ? ['worker'] : Array.from({ length: count }, (_, index) => `worker-${index + 1}`);
}

/** @returns the URL by which this machine reaches a server that listens on `host`. */
function buildLocalUrl(host: string, port: number): string {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${local.includes(':') ? `[${local}]` : local}:${port}`;
}
