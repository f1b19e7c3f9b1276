/** The supervisor with an embedded PostgreSQL and small programs in place of the apps: order, restarts, kills and startup errors. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { findPostmaster, stopPostmaster } from '../../deploy/embedded/postmaster.ts';
import {
  isRunning,
  getProcessRef,
  getStartTime,
  type ProcessRef,
} from '../../deploy/embedded/process-ref.ts';
import { listProcessRecords, type ProcessRecord } from '../../deploy/embedded/process-records.ts';
import { eventually } from '../support/eventually.ts';
import { createHomeTemplate, type HomeTemplate } from '../support/home-template.ts';

const repo = resolve(import.meta.dirname, '../..');

/** Programs in place of the apps. Each writes its start and its stop to the journal. */
const api = `
  import { createServer } from 'node:http';
  import { appendFileSync } from 'node:fs';
  const log = (what) => appendFileSync(process.env.JOURNAL, what + '\\n');
  const server = createServer((_, reply) => reply.end('{}')).listen(Number(process.env.PORT), '127.0.0.1', () => { log('api up'); process.send('ready'); });
  const exit = (reason) => { log('api down: ' + reason); process.exit(0); };
  process.on('SIGTERM', () => exit('signal'));
  process.on('disconnect', () => exit('disconnect'));`;
const worker = `
  import { appendFileSync } from 'node:fs';
  import { setTimeout as sleep } from 'node:timers/promises';
  const log = (what) => appendFileSync(process.env.JOURNAL, what + '\\n');
  setInterval(() => {}, 1000);
  process.on('SIGTERM', async () => { await sleep(50); log('worker down: signal'); process.exit(0); });
  process.on('disconnect', () => { log('worker down: disconnect'); process.exit(0); });
  log('worker up ' + process.env.DATABASE_URL);
  process.send('ready');`;
const ignoringSignals = `
  import { appendFileSync } from 'node:fs';
  setInterval(() => {}, 1000);
  process.on('SIGTERM', () => {});
  process.on('disconnect', () => {});
  process.on('SIGPIPE', () => {});
  appendFileSync(process.env.JOURNAL, 'worker up\\n');
  process.send('ready');`;
const migrate = `
  import { appendFileSync } from 'node:fs';
  appendFileSync(process.env.JOURNAL, 'migrate\\n');`;

let folder: string;
let home: string;
let port: number;
let journal: string;
let running: ChildProcess[];
let nextPort = 21_900;
let template: HomeTemplate;

beforeAll(async () => {
  template = await createHomeTemplate({ from: 22_000, to: 22_099 });
});
afterAll(() => template?.remove());

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-supervisor-'));
  await chmod(folder, 0o755);
  home = join(folder, 'home');
  await template.copyTo(home);
  journal = join(folder, 'journal');
  port = nextPort++;
  running = [];
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await writeFile(journal, '');
  await program({ api, worker, migrate });
});

afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  for (const record of await listProcessRecords(home))
    if (await isRunning(record)) process.kill(record.pid, 'SIGKILL');
  const server = await findPostmaster(join(home, 'postgres'));
  if (server) await stopPostmaster(server, 'immediate');
  await rm(folder, { recursive: true, force: true });
});

async function program(texts: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, `${name}.js`), text);
}

interface Started {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Resolves with the exit code. */
  readonly code: Promise<number | null>;
}

/** Does the same as `npm start`, with other programs and a database that does not flush to disk. */
function start(env: Record<string, string> = {}): Started {
  const at = (path: string): string => JSON.stringify(join(repo, path));
  const script = `
    import { builtPrograms, stopOnSignals, loadSettings } from ${at('deploy/embedded/process-lifecycle.ts')};
    import { createOutput } from ${at('deploy/embedded/output.ts')};
    import { createSupervisor, StoppedError } from ${at('deploy/embedded/supervisor.ts')};
    const config = loadSettings();
    const output = createOutput({ format: 'pretty', level: 'info', color: false, write: (text) => process.stdout.write(text) });
    const programs = { migrate: 'migrate.js', newKey: 'new-key.js', api: 'api.js', worker: 'worker.js' };
    const supervisor = createSupervisor({
      config, output, programs, env: process.env, workerGraceMs: Number(process.env.GRACE ?? 10000),
      postgres: { durable: false, ports: { from: 22000, to: 22099 } },
    });
    stopOnSignals(supervisor, output);
    try {
      await supervisor.start();
      console.log('all is up');
    } catch (error) {
      if (!(error instanceof StoppedError)) { console.error(error.message); process.exit(error.exitCode ?? 1); }
    }`;
  const args = [
    '--experimental-transform-types',
    '--disable-warning=ExperimentalWarning',
    '--conditions=source',
  ];
  const child = spawn(process.execPath, [...args, '--input-type=module', '-e', script], {
    cwd: folder,
    env: { PATH: process.env['PATH'], MILLRACE_HOME: home, PORT: String(port), JOURNAL: journal, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (text += data.toString()));
  return {
    child,
    output: () => text,
    code: once(child, 'close').then(([code]) => code as number | null),
  };
}

async function startAll(env?: Record<string, string>): Promise<Started> {
  const started = start(env);
  await eventually(
    'all is up',
    () => started.output().includes('all is up') || started.child.exitCode !== null,
    60_000,
  );
  if (started.child.exitCode !== null) throw new Error(started.output());
  await eventually(
    'the worker is up',
    async () => (await lines()).some((line) => line.startsWith('worker up')),
    60_000,
  );
  return started;
}

const lines = async (): Promise<string[]> => (await readFile(journal, 'utf8')).split('\n').filter(Boolean);
const short = (line: string): string => line.replace(/ postgres:.*/, '');

async function findRecord(name: string): Promise<ProcessRecord> {
  let found: ProcessRecord | undefined;
  await eventually(
    `${name} is recorded`,
    async () =>
      (found = (await listProcessRecords(home)).find((record) => record.name === name)) !== undefined,
    60_000,
  );
  return found as ProcessRecord;
}

async function getStartupError(env?: Record<string, string>): Promise<string> {
  const { code, output } = start(env);
  expect(await code).toBe(1);
  return output().trim().split('\n').at(-1) ?? '';
}

test('creates the database, starts in order and stops in reverse, and leaves no process and no lock', async () => {
  await rm(home, { recursive: true });
  const { child, code, output } = await startAll();
  const all = await listProcessRecords(home);
  expect(all.map(({ name }) => name).sort()).toEqual(['api', 'postgres', 'worker']);
  child.kill('SIGTERM');
  expect(await code).toBe(0);
  expect((await lines()).map(short)).toEqual([
    'migrate',
    'api up',
    'worker up',
    'worker down: signal',
    'api down: signal',
  ]);
  expect(output()).toContain('millrace │');
  for (const record of all) expect(await getStartTime(record.pid)).toBeNull();
  expect(await listProcessRecords(home)).toEqual([]);
  await expect(readFile(join(home, 'supervisor.lock'))).rejects.toThrow(/ENOENT/);
});

test.each(['worker', 'api'])('restarts a killed %s', async (name) => {
  await startAll();
  const before = await findRecord(name);
  process.kill(before.pid, 'SIGKILL');
  await eventually(
    `${name} is back`,
    async () => (await findRecord(name)).pid !== before.pid && isRunning(await findRecord(name)),
    60_000,
  );
  await eventually(
    `${name} is up`,
    async () => (await lines()).filter((line) => line.startsWith(`${name} up`)).length === 2,
    60_000,
  );
});

test('a worker that was ready is restarted as often as it fails, and its reason is one line', async () => {
  const { output } = await startAll();
  await program({ worker: `process.send({ startFailure: 'REDIS_URL: no Redis.' }); process.exit(1);` });
  process.kill((await findRecord('worker')).pid, 'SIGKILL');
  await eventually(
    'the worker has failed four times',
    () => (output().match(/worker exited \(REDIS_URL: no Redis\.\); restarting it in/g) ?? []).length >= 4,
    60_000,
  );
  await program({ worker });
  await eventually(
    'the worker is up again',
    async () => (await lines()).filter((line) => line.startsWith('worker up')).length === 2,
    60_000,
  );
});

test('after a kill -9 the children exit, and the next start adopts the database', async () => {
  const first = await startAll();
  const left = await listProcessRecords(home);
  first.child.kill('SIGKILL');
  await first.code;
  const children = left.filter(({ name }) => name !== 'postgres');
  for (const child of children)
    await eventually(`${child.name} left`, async () => !(await isRunning(child)), 20_000);
  expect((await lines()).map(short)).toEqual(
    expect.arrayContaining(['worker down: disconnect', 'api down: disconnect']),
  );

  const second = await startAll();
  const postgres = left.find(({ name }) => name === 'postgres');
  expect(second.output()).toContain(`postgres adopted (pid ${postgres?.pid}`);
  second.child.kill('SIGTERM');
  expect(await second.code).toBe(0);
  expect(await isRunning(postgres as ProcessRef)).toBe(false);
});

test('the next start stops an orphan that does not exit', async () => {
  await program({ worker: ignoringSignals });
  const first = await startAll();
  const orphan = await findRecord('worker');
  first.child.kill('SIGKILL');
  await first.code;
  await program({ worker });
  const second = await startAll();
  expect(await isRunning(orphan)).toBe(false);
  expect(second.output()).toContain(`stopping worker of an earlier start (pid ${orphan.pid})`);
});

test('does not signal a process that has the reused pid of an orphan', async () => {
  const unrelated = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  running.push(unrelated);
  await mkdir(join(home, 'run'), { recursive: true });
  const record = { name: 'worker', pid: unrelated.pid, startTime: 'another boot/1', argv: [] };
  await writeFile(join(home, 'run/worker.json'), JSON.stringify(record));
  await startAll();
  expect(await getProcessRef(unrelated.pid as number)).not.toBeNull();
  expect(unrelated.exitCode).toBeNull();
});

test('restarts a killed database at the same address', async () => {
  const { output } = await startAll();
  const before = await findRecord('postgres');
  process.kill(before.pid, 'SIGKILL');
  await eventually(
    'postgres is back',
    () => (output().match(/postgres started/g) ?? []).length === 2,
    60_000,
  );
  const url = (await lines())
    .find((line) => line.startsWith('worker up '))
    ?.split(' ')
    .at(-1);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.end();
});

test('kills a worker that does not stop in time', async () => {
  await program({ worker: ignoringSignals });
  const { child, code, output } = await startAll({ GRACE: '300' });
  const stuck = await findRecord('worker');
  child.kill('SIGINT');
  expect(await code).toBe(0);
  expect(output()).toContain('worker did not stop within 0.3 s: killing it');
  expect(await isRunning(stuck)).toBe(false);
});

test('a second Ctrl-C kills all processes; a signal that arrives twice at once counts as one', async () => {
  await program({ worker: ignoringSignals });
  const { child, code } = await startAll();
  const all = await listProcessRecords(home);
  child.kill('SIGINT');
  child.kill('SIGINT');
  await new Promise((done) => setTimeout(done, 900));
  expect(child.exitCode).toBeNull();
  child.kill('SIGINT');
  expect(await code).toBe(130);
  // The killed processes may be zombies for a moment, and Postgres needs time for its immediate stop.
  for (const record of all) {
    await eventually(`${record.name} is gone`, async () => !(await isRunning(record)), 60_000);
  }
});

test('a stop during the start leaves no process', async () => {
  await program({ migrate: `${migrate}\nsetInterval(() => {}, 1000);` });
  const { child, code } = start();
  await eventually('migrate runs', async () => (await lines()).includes('migrate'), 20_000);
  const postgres = await findRecord('postgres');
  child.kill('SIGTERM');
  expect(await code).toBe(0);
  expect(await isRunning(postgres)).toBe(false);
  expect(await listProcessRecords(home)).toEqual([]);
});

describe('prints one line with what to do when', () => {
  test('the port is in use', async () => {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    expect(await getStartupError()).toMatch(
      new RegExp(`^Port ${port} is in use.*: stop what uses it, or set PORT`),
    );
    await new Promise((done) => server.close(done));
  });

  test('another supervisor runs on the data folder', async () => {
    const { child } = await startAll();
    const line = await getStartupError({ PORT: String(port + 50) });
    expect(line).toMatch(
      new RegExp(`^Millrace already runs on ${home} \\(pid ${child.pid}, http://127.0.0.1:${port}\\)`),
    );
  });

  test('the data folder is from a newer Millrace', async () => {
    await writeFile(join(home, 'version'), '{"format":2}');
    expect(await getStartupError()).toMatch(
      /was written by a newer Millrace \(format 2, this one supports 1\)/,
    );
  });

  test('the data folder cannot be written', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(await getStartupError({ MILLRACE_HOME: join(folder, 'file', 'home') })).toMatch(
      /cannot be written \(E\w+\).*MILLRACE_HOME/,
    );
  });

  test('the migrations fail, and leaves no process', async () => {
    await program({ migrate: 'process.exit(3)' });
    expect(await getStartupError()).toMatch(/^migrate failed \(exit code 3\): see its output above/);
    expect(await listProcessRecords(home)).toEqual([]);
    expect(await findPostmaster(join(home, 'postgres'))).toBeNull();
  });

  test('the API exits before it answers', async () => {
    await program({ api: 'process.exit(1)' });
    expect(await getStartupError()).toMatch(/^api exits before it is ready: see its output above/);
  });

  test('the worker exits before it is ready, and leaves no process', async () => {
    await program({ worker: 'process.exit(1)' });
    expect(await getStartupError()).toMatch(/^worker exits before it is ready: see its output above/);
    expect(await listProcessRecords(home)).toEqual([]);
  });

  test.each(['migrate', 'api', 'worker'])('%s sends why it cannot start', async (name) => {
    const failing = `process.send({ startFailure: 'REDIS_URL: no Redis. Start it.' }); process.exit(1);`;
    await program({ [name]: failing });
    const { code, output } = start();
    expect(await code).toBe(1);
    expect(output().trim().split('\n').at(-1)).toBe('REDIS_URL: no Redis. Start it.');
  });

  test('a process finds its settings wrong: it is not restarted, and the exit code is 78', async () => {
    const failing = `process.send({ startFailure: 'Wrong settings:\\n  PRICES: no file' }); process.exit(78);`;
    await program({ worker: failing });
    const { code, output } = start();
    expect(await code).toBe(78);
    expect(output()).toContain('PRICES: no file');
    expect(output()).not.toContain('restarting');
  });

  test('the port of the worker is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port: workerPort } = taken.address() as { port: number };
    expect(await getStartupError({ WORKER_HTTP_PORT: String(workerPort) })).toMatch(
      new RegExp(`^Port ${workerPort} is in use.*set WORKER_HTTP_PORT`),
    );
    await new Promise((done) => taken.close(done));
  });

  test.each([
    [{ PORT: '4190' }, 'PORT: must not be port 4190: the Fetch standard blocks it'],
    [{ PRICES: '/nope.json' }, 'PRICES: the file /nope.json does not exist'],
    [{ MODELS_DIR: '/nope' }, 'MODELS_DIR: the folder /nope does not exist'],
    [{ OPENAI_COMPATIBLE_KEYS: 'gpu=x' }, "OPENAI_COMPATIBLE_KEYS: 'gpu' is not the name of a provider"],
    [{ REDIS_URI: 'redis://x' }, 'REDIS_URI: no such setting. Did you mean REDIS_URL?'],
    [{ S3_BUKET: 'files' }, 'S3_BUKET: no such setting. Did you mean S3_BUCKET?'],
    [{ WORKER_COUNT: 'abc' }, "WORKER_COUNT: must be a whole number from 0 to 256, not 'abc'"],
    [
      { WORKER_COUNT: '2', WORKER_HTTP_PORT: '9100' },
      'WORKER_HTTP_PORT: only one process can listen on port 9100',
    ],
  ])('%p: before any process starts, with exit code 78', async (env, problem) => {
    const { code, output } = start(env);
    expect(await code).toBe(78);
    expect(output()).toContain(`  ${problem}`);
    expect(output()).not.toContain('at ');
    expect(await lines()).toEqual([]);
    expect(await findPostmaster(join(home, 'postgres'))).toBeNull();
  });
});

test('takes over a stale lock, also one with the pid of a live process', async () => {
  const lock = { pid: process.pid, startTime: 'another boot/1', url: 'http://127.0.0.1:1' };
  await writeFile(join(home, 'supervisor.lock'), JSON.stringify(lock));
  await appendFile(journal, '');
  await startAll();
});

test('of two supervisors that start at once on a stale lock, one runs', async () => {
  await writeFile(join(home, 'supervisor.lock'), '{"pid":1,"startTime":"x"}');
  const both = [start(), start({ PORT: String(port + 50) })];
  await eventually('one is up', () => both.some(({ output }) => output().includes('all is up')), 20_000);
  await eventually('the other gave up', () => both.some(({ child }) => child.exitCode === 1), 20_000);
  expect(both.map(({ output }) => output()).join('')).toContain('Millrace already runs on');
});
