/** `npm start` and `npm run quickstart` with the real apps: a batch runs, and no process is left when npm ends or is killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findPostmaster, stopPostmaster } from '../../deploy/embedded/postmaster.ts';
import { isRunning } from '../../deploy/embedded/process-ref.ts';
import { listProcessRecords, type ProcessRecord } from '../../deploy/embedded/process-records.ts';
import { eventually } from '../support/eventually.ts';

const repo = resolve(import.meta.dirname, '../..');
let home: string;
const running: ChildProcess[] = [];

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-npm-'));
  await chmod(folder, 0o755); // Otherwise, as root, the database would be in another folder.
  home = join(folder, 'home');
});

afterEach(async () => {
  // After a failed test processes still run, and would write to the folder while it is deleted.
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'close');
  }
  for (const record of await listProcessRecords(home))
    if (await isRunning(record)) process.kill(record.pid, 'SIGKILL');
  const server = await findPostmaster(join(home, 'postgres'));
  if (server) await stopPostmaster(server, 'immediate');
  await rm(join(home, '..'), { recursive: true, force: true });
});

interface Npm {
  readonly child: ChildProcess;
  readonly output: () => string;
}

function npm(...args: string[]): Npm {
  return npmWith({}, ...args);
}

function npmWith(settings: Record<string, string>, ...args: string[]): Npm {
  // The npm and Node of PATH, as a user has them.
  const child = spawn('npm', args, {
    cwd: repo,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      MILLRACE_HOME: home,
      PORT: '0',
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (text += data.toString()));
  return { child, output: () => text };
}

async function startNpm(): Promise<Npm> {
  const started = npm('start');
  const isUp = (): boolean => started.output().includes('Millrace is running');
  await eventually('npm start is up', () => isUp() || started.child.exitCode !== null, 60_000);
  expect([isUp(), started.output()]).toEqual([true, expect.anything()]);
  return started;
}

async function waitUntilGone(records: readonly ProcessRecord[]): Promise<void> {
  for (const record of records)
    await eventually(`${record.name} is gone`, async () => !(await isRunning(record)), 20_000);
}

test('npm run quickstart uses a running npm start; SIGTERM to npm then stops all processes', async () => {
  const { child, output } = await startNpm();
  expect(output()).toMatch(/API key +mr_\w+/);
  const records = await listProcessRecords(home);
  expect(records.map(({ name }) => name).sort()).toEqual(['api', 'postgres', 'worker']);

  const quickstart = npm('run', 'quickstart', '--', '--exit', '--lines', '300');
  const [code] = (await once(quickstart.child, 'close')) as [number];
  expect([code, quickstart.output()]).toEqual([
    0,
    expect.stringContaining('303 vectors of 256 numbers: each custom_id exactly once'),
  ]);

  child.kill('SIGTERM');
  await once(child, 'close');
  await waitUntilGone(records);
  expect(await listProcessRecords(home)).toEqual([]);
});

test('a kill -9 of npm stops all processes', async () => {
  const { child } = await startNpm();
  const records = await listProcessRecords(home);
  child.kill('SIGKILL');
  await waitUntilGone(records);
});

test('npm run quickstart -- --exit starts and stops all processes', async () => {
  const { child, output } = npm('run', 'quickstart', '--', '--exit', '--lines', '300');
  const [code] = (await once(child, 'close')) as [number];
  expect([code, output()]).toEqual([0, expect.stringContaining('303 vectors')]);
  expect(await listProcessRecords(home)).toEqual([]);
  expect(await findPostmaster(join(home, 'postgres'))).toBeNull();
});

const readKey = async () =>
  (JSON.parse(await readFile(join(home, 'credentials.json'), 'utf8')) as { apiKey: string; url: string })
    .apiKey;

test('npm start -- --new-key makes a key, beside a running npm start and at the start', async () => {
  const { child, output } = await startNpm();
  const first = await readKey();
  const url = /address +(\S+)/.exec(output())![1]!;
  const beside = npm('start', '--', '--new-key');
  const [code] = (await once(beside.child, 'close')) as [number];
  const second = await readKey();
  expect([code, beside.output()]).toEqual([0, expect.stringMatching(new RegExp(`API key +${second}`))]);
  expect(second).not.toBe(first);
  for (const key of [first, second]) {
    const { status } = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    expect(status).toBe(200);
  }
  child.kill('SIGTERM');
  await once(child, 'close');

  await rm(join(home, 'credentials.json'));
  const again = npm('start', '--', '--new-key');
  await eventually('npm start is up', () => again.output().includes('Millrace is running'), 60_000);
  expect(again.output()).toMatch(new RegExp(`API key +${await readKey()}`));
});

test.each([
  [{ PORT: '4190' }, 78, /PORT: must not be port 4190/],
  [{ PRICES: '/nope.json' }, 78, /PRICES: the file \/nope.json does not exist/],
  [{ S3_BUKET: 'x' }, 78, /S3_BUKET: no such setting. Did you mean S3_BUCKET\?/],
  [
    { DATABASE_URL: 'postgres://a:hunter2@127.0.0.1:1/x' },
    1,
    /^DATABASE_URL: Postgres at 127.0.0.1:1 does not listen/m,
  ],
  [
    { REDIS_URL: 'redis://:hunter2@127.0.0.1:1' },
    1,
    /^REDIS_URL: Redis at 127.0.0.1:1 does not listen there/m,
  ],
  [
    {
      S3_BUCKET: 'files',
      S3_ENDPOINT: 'http://127.0.0.1:2',
      S3_ACCESS_KEY_ID: 'a',
      S3_SECRET_ACCESS_KEY: 'hunter2',
    },
    1,
    /^S3_BUCKET: the bucket 'files' at 127.0.0.1:2 cannot be reached/m,
  ],
])('npm start with %p ends and says why in one line', async (settings, expectedCode, line) => {
  const { child, output } = npmWith(settings, 'start');
  const [code] = (await once(child, 'close')) as [number];
  expect([code, output()]).toEqual([expectedCode, expect.stringMatching(line)]);
  expect(output()).not.toMatch(/hunter2|\n +at |Millrace is running/);
  expect(await listProcessRecords(home)).toEqual([]);
});
