/**
 * The embedded PostgreSQL: one call from nothing to a URL that answers. It outlives a launcher that was killed,
 * and the next call adopts it; whoever started it stops it last, after everything that needs it.
 */
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { spawnAs } from './os-account.ts';
import { getBinaryPath } from './postgres-binaries.ts';
import { StartupError } from './startup-error.ts';
import { ensureCluster, resetAdminPassword } from './cluster.ts';
import { resolveClusterConfig, saveClusterInfo, type ClusterConfig } from './cluster-config.ts';
import { createDataFolder } from './data-folder.ts';
import { findFreePort, isPortFree, type PortRange } from './tcp-ports.ts';
import { findPostmaster, stopPostmaster, waitUntilReady, type StopMode } from './postmaster.ts';
import { isRunning, getProcessRef, type ProcessRef } from './process-ref.ts';

export interface PostgresOptions {
  /** The data folder; the database lies in its `postgres`. */
  readonly home: string;
  readonly log: (line: string) => void;
  /** Where a port is looked for the first time, and again when the remembered one is taken. */
  readonly ports?: PortRange;
  /** Server settings beside our own, e.g. `{ max_connections: '200' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** false: nothing is flushed to disk. For databases that a test throws away. */
  readonly durable?: boolean;
  /** How long a server that is already running may be silent before it is not adopted; 10 s. */
  readonly adoptTimeoutMs?: number;
  readonly fallbackFolders?: readonly string[];
}

export interface EmbeddedPostgres {
  /** Of the database `millrace`, as its owner. */
  readonly url: string;
  /** Of the database `postgres`, as the superuser. */
  readonly adminUrl: string;
  readonly port: number;
  readonly pid: number;
  /** The database's folder. */
  readonly data: string;
  /** It was running already. */
  readonly adopted: boolean;
  /** Resolves when the server is gone, stopped or dead. */
  readonly exited: Promise<void>;
  /** fast: open transactions are rolled back, everything is written. immediate: as if the power failed. */
  stop(mode?: StopMode): Promise<void>;
}

/** Below the ports that systems hand to outgoing connections (32768 on Linux), which could take a stopped one's. */
const defaultPorts = { from: 25432, to: 26431 };

/** @throws CannotStart, with one line that says what to do. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const home = resolve(options.home);
  const ports = options.ports ?? defaultPorts;
  await createDataFolder(home);
  const place = await resolveClusterConfig({
    home,
    ports,
    fallbackFolders: options.fallbackFolders ?? ['/var/lib/millrace', '/var/tmp/millrace'],
  });
  const made = await ensureCluster(place, options.durable ?? true);
  if (made) options.log(`made a PostgreSQL ${place.binaries.version} database in ${place.info.data}`);
  const server = (await adopt(place, options)) ?? (await start(place, home, ports, options));
  await ensureDatabase(server, place);
  return server;
}

function buildServerArgs(place: ClusterConfig, options: PostgresOptions, port = place.info.port): string[] {
  const durable = options.durable ?? true;
  const settings: Record<string, string> = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '100',
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    checkpoint_timeout: '15min',
    wal_compression: 'pglz',
    fsync: durable ? 'on' : 'off',
    synchronous_commit: durable ? 'on' : 'off',
    full_page_writes: durable ? 'on' : 'off',
    random_page_cost: '1.1',
    tcp_keepalives_idle: '30',
    log_checkpoints: 'off',
    log_line_prefix: '%m [%p] ',
    // Without it a violated constraint would put the row's values, a caller's input, into the log.
    log_error_verbosity: 'terse',
    ...options.settings,
  };
  return [
    '-D',
    place.info.data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

function buildServer(
  place: ClusterConfig,
  ref: ProcessRef,
  adopted: boolean,
  exited: Promise<void>,
): EmbeddedPostgres {
  const { port, password, adminPassword, data } = place.info;
  return {
    url: `postgres://millrace:${password}@127.0.0.1:${port}/millrace`,
    adminUrl: `postgres://postgres:${adminPassword}@127.0.0.1:${port}/postgres`,
    port,
    pid: ref.pid,
    data,
    adopted,
    exited,
    stop: (mode = 'fast') => stopPostmaster(ref, mode),
  };
}

/** Takes over a server that a killed launcher left, if it is as we would start it and answers; else stops it. */
async function adopt(place: ClusterConfig, options: PostgresOptions): Promise<EmbeddedPostgres | null> {
  const found = await findPostmaster(place.info.data);
  if (found) {
    const wanted = [getBinaryPath(place.binaries, 'postgres'), ...buildServerArgs(place, options)];
    const server = buildServer(place, found, true, waitUntilExited(found));
    // After a new `npm ci` its binaries may be gone from under it, though their path is the same.
    const whole = !place.isNewInfo && (await isSameProgram(found.pid, wanted[0] ?? ''));
    if (
      whole &&
      wanted.join('\0') === found.args.join('\0') &&
      (await waitUntilReady(server.adminUrl, found, options.adoptTimeoutMs ?? 10_000))
    ) {
      return server;
    }
    options.log(`stopping a PostgreSQL of ours that can't be adopted (pid ${found.pid})`);
    await stopPostmaster(found, 'fast');
  }
  if (place.isNewInfo) await resetAdminPassword(place);
  return null;
}

async function isSameProgram(pid: number, path: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const [running, onDisk] = await Promise.all([stat(`/proc/${pid}/exe`).catch(() => null), stat(path)]);
  return running?.ino === onDisk.ino && running.dev === onDisk.dev;
}

async function waitUntilExited(ref: ProcessRef): Promise<void> {
  while (await isRunning(ref)) await sleep(250, undefined, { ref: false });
}

async function start(
  place: ClusterConfig,
  home: string,
  ports: PortRange,
  options: PostgresOptions,
): Promise<EmbeddedPostgres> {
  const logPath = await prepareLogFile(home);
  let current = place;
  for (let tries = 0; tries < 40; tries++) {
    if (!(await isPortFree(current.info.port))) {
      current = { ...current, info: { ...current.info, port: await findFreePort(ports) } };
      await saveClusterInfo(home, current.info);
    }
    const before = (await stat(logPath).catch(() => null))?.size ?? 0;
    const server = await launch(current, logPath, options);
    if (server) return server;
    const said = (await readFile(logPath)).subarray(before).toString();
    // Its last server's children may take a moment to see that it died and leave the shared memory.
    if (/pre-existing shared memory block/.test(said)) await sleep(250);
    else if (!/could not bind|could not create any TCP/.test(said)) throw buildStartFailure(said, logPath);
  }
  throw new StartupError(`The embedded database does not start: its log is ${logPath}.`);
}

function buildStartFailure(said: string, logPath: string): StartupError {
  const line =
    said
      .split('\n')
      .filter((text) => /FATAL|PANIC|error/.test(text))
      .at(-1) ?? 'it gave no reason';
  return new StartupError(
    `The embedded database did not start: ${line.replace(/^.*?(FATAL|PANIC): +/, '')} (its log: ${logPath}).`,
  );
}

/** @returns null when it ended before it was ready. */
async function launch(
  place: ClusterConfig,
  logPath: string,
  options: PostgresOptions,
): Promise<EmbeddedPostgres | null> {
  const log = await open(logPath, 'a', 0o600);
  const child = spawnAs(
    place.account,
    getBinaryPath(place.binaries, 'postgres'),
    buildServerArgs(place, options),
    {
      // A process group of its own: Ctrl-C in the terminal must not stop it before its clients.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    },
  );
  const exited = new Promise<void>((done) => child.once('exit', () => done()).once('error', () => done()));
  await log.close();
  child.unref();
  const ref = child.pid === undefined ? null : await getProcessRef(child.pid);
  if (!ref) return null;
  const server = buildServer(place, ref, false, exited);
  if (await waitUntilReady(server.adminUrl, ref, 60_000)) return server;
  await stopPostmaster(ref, 'immediate');
  return null;
}

async function prepareLogFile(home: string): Promise<string> {
  const path = join(home, 'logs', 'postgres.log');
  await mkdir(join(home, 'logs'), { recursive: true, mode: 0o700 });
  const size = (await stat(path).catch(() => null))?.size ?? 0;
  if (size > 10_000_000) await rename(path, `${path}.1`);
  return path;
}

/** The role and the database, if a kill came between making the cluster and making them. */
async function ensureDatabase(server: EmbeddedPostgres, { info }: ClusterConfig): Promise<void> {
  const client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `select exists (select from pg_roles where rolname = 'millrace') as role,
              exists (select from pg_database where datname = 'millrace') as database`,
    );
    // The password is base64url: it needs no quoting, and DDL takes no parameters.
    await client.query(
      `${rows[0]?.role ? 'alter' : 'create'} role millrace login password '${info.password}'`,
    );
    if (!rows[0]?.database) await client.query('create database millrace owner millrace');
  } finally {
    await client.end();
  }
}
