/**
 * The embedded PostgreSQL: `startPostgres` creates the database, starts the server and returns its URL. The server
 * survives a supervisor that is killed, and the next start adopts it. The supervisor stops it last, after its clients.
 */
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { spawnAs } from './os-account.ts';
import { getBinaryPath } from './postgres-binaries.ts';
import { StartupError } from './startup-error.ts';
import { ensureCluster, resetAdminPassword } from './cluster.ts';
import {
  readClusterInfo,
  resolveClusterConfig,
  saveClusterInfo,
  type ClusterConfig,
  type ClusterInfo,
} from './cluster-config.ts';
import { createDataFolder } from './data-folder.ts';
import { findFreePort, isPortFree, type PortRange } from './tcp-ports.ts';
import { findPostmaster, stopPostmaster, waitUntilReady, type StopMode } from './postmaster.ts';
import { isRunning, getProcessRef, type ProcessRef } from './process-ref.ts';

export interface PostgresOptions {
  /** The data folder. The database is in its folder `postgres`. */
  readonly home: string;
  readonly log: (line: string) => void;
  /** The port is chosen from this range at the first start, and again when the saved port is taken. */
  readonly ports?: PortRange;
  /** Server settings in addition to the defaults, e.g. `{ max_connections: '200' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** false: nothing is flushed to disk. For databases that a test deletes. */
  readonly durable?: boolean;
  /** How long a running server may give no answer before it is stopped instead of adopted. @default 10_000 */
  readonly adoptTimeoutMs?: number;
  /** See ClusterConfigOptions. */
  readonly fallbackFolders?: readonly string[];
}

export interface EmbeddedPostgres {
  /** URL of the database `millrace`, as its owner. */
  readonly url: string;
  /** URL of the database `postgres`, as the superuser. */
  readonly adminUrl: string;
  readonly port: number;
  readonly pid: number;
  /** The database's folder. */
  readonly data: string;
  /** The server was already running. */
  readonly adopted: boolean;
  /** Resolves when the server has exited, by a stop or a crash. */
  readonly exited: Promise<void>;
  /** fast: rolls back open transactions and writes a checkpoint. immediate: like a power failure. @default 'fast' */
  stop(mode?: StopMode): Promise<void>;
}

/**
 * Below the ports of outgoing connections (from 32768 on Linux): such a connection could take the port while the server is
 * stopped.
 */
const defaultPorts = { from: 25432, to: 26431 };

/** @throws StartupError with one line that says what to do. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const home = resolve(options.home);
  const ports = options.ports ?? defaultPorts;
  await createDataFolder(home);
  const config = await resolveClusterConfig({
    home,
    ports,
    fallbackFolders: options.fallbackFolders ?? ['/var/lib/millrace', '/var/tmp/millrace'],
  });
  const created = await ensureCluster(config, options.durable ?? true);
  if (created) options.log(`created a PostgreSQL ${config.binaries.version} database in ${config.info.data}`);
  const server = (await adopt(config, options)) ?? (await start(config, home, ports, options));
  await ensureDatabase(server, config);
  return server;
}

function buildServerArgs(config: ClusterConfig, options: PostgresOptions, port = config.info.port): string[] {
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
    // The default also logs the values of a row that violates a constraint: a caller's input.
    log_error_verbosity: 'terse',
    ...options.settings,
  };
  return [
    '-D',
    config.info.data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

function buildServer(
  config: ClusterConfig,
  ref: ProcessRef,
  adopted: boolean,
  exited: Promise<void>,
): EmbeddedPostgres {
  const { port, adminPassword, data } = config.info;
  return {
    url: buildDatabaseUrl(config.info),
    adminUrl: `postgres://postgres:${adminPassword}@127.0.0.1:${port}/postgres`,
    port,
    pid: ref.pid,
    data,
    adopted,
    exited,
    stop: (mode = 'fast') => stopPostmaster(ref, mode),
  };
}

const buildDatabaseUrl = ({ password, port }: ClusterInfo): string =>
  `postgres://millrace:${password}@127.0.0.1:${port}/millrace`;

/** @returns the URL of the embedded database of a data folder whose supervisor runs; null if there is none. */
export async function findEmbeddedDatabaseUrl(home: string): Promise<string | null> {
  const info = await readClusterInfo(home);
  return info && buildDatabaseUrl(info);
}

/**
 * Adopts a server that a killed supervisor left. It must answer and have the arguments that we would start it with;
 * otherwise it is stopped.
 */
async function adopt(config: ClusterConfig, options: PostgresOptions): Promise<EmbeddedPostgres | null> {
  const found = await findPostmaster(config.info.data);
  if (found) {
    const expectedArgs = [getBinaryPath(config.binaries, 'postgres'), ...buildServerArgs(config, options)];
    const server = buildServer(config, found, true, waitUntilExited(found));
    // `npm ci` replaces the binaries: the running program then differs from the file at the same path.
    const isUsable = !config.isNewInfo && (await isSameProgram(found.pid, expectedArgs[0] ?? ''));
    if (
      isUsable &&
      expectedArgs.join('\0') === found.args.join('\0') &&
      (await waitUntilReady(server.adminUrl, found, options.adoptTimeoutMs ?? 10_000))
    ) {
      return server;
    }
    options.log(`stopping a PostgreSQL of an earlier start that cannot be adopted (pid ${found.pid})`);
    await stopPostmaster(found, 'fast');
  }
  if (config.isNewInfo) await resetAdminPassword(config);
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
  config: ClusterConfig,
  home: string,
  ports: PortRange,
  options: PostgresOptions,
): Promise<EmbeddedPostgres> {
  const logPath = await prepareLogFile(home);
  let current = config;
  for (let attempt = 0; attempt < 40; attempt++) {
    if (!(await isPortFree(current.info.port))) {
      current = { ...current, info: { ...current.info, port: await findFreePort(ports) } };
      await saveClusterInfo(home, current.info);
    }
    const before = (await stat(logPath).catch(() => null))?.size ?? 0;
    const server = await launch(current, logPath, options);
    if (server) return server;
    const output = (await readFile(logPath)).subarray(before).toString();
    // Children of a killed server keep its shared memory until they notice its end.
    if (/pre-existing shared memory block/.test(output)) await sleep(250);
    else if (!/could not bind|could not create any TCP/.test(output))
      throw buildStartFailure(output, logPath);
  }
  throw new StartupError(`The embedded database does not start: see its log, ${logPath}.`);
}

function buildStartFailure(output: string, logPath: string): StartupError {
  const line =
    output
      .split('\n')
      .filter((text) => /FATAL|PANIC|error/.test(text))
      .at(-1) ?? 'no reason was logged';
  return new StartupError(
    `The embedded database did not start: ${line.replace(/^.*?(FATAL|PANIC): +/, '')} (its log: ${logPath}).`,
  );
}

/** @returns null when it exited before it was ready. */
async function launch(
  config: ClusterConfig,
  logPath: string,
  options: PostgresOptions,
): Promise<EmbeddedPostgres | null> {
  const log = await open(logPath, 'a', 0o600);
  const child = spawnAs(
    config.account,
    getBinaryPath(config.binaries, 'postgres'),
    buildServerArgs(config, options),
    {
      // Its own process group: Ctrl-C must not stop it before its clients.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    },
  );
  const exited = new Promise<void>((done) => child.once('exit', () => done()).once('error', () => done()));
  await log.close();
  child.unref();
  const ref = child.pid === undefined ? null : await getProcessRef(child.pid);
  if (!ref) return null;
  const server = buildServer(config, ref, false, exited);
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

/** Creates the role and the database unless they exist: a kill may have come between initdb and this step. */
async function ensureDatabase(server: EmbeddedPostgres, { info }: ClusterConfig): Promise<void> {
  const client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `select exists (select from pg_roles where rolname = 'millrace') as role,
              exists (select from pg_database where datname = 'millrace') as database`,
    );
    // DDL takes no parameters. The password is base64url, so it needs no quoting.
    await client.query(
      `${rows[0]?.role ? 'alter' : 'create'} role millrace login password '${info.password}'`,
    );
    if (!rows[0]?.database) await client.query('create database millrace owner millrace');
  } finally {
    await client.end();
  }
}
