/** The two commands as a person types them, with the real apps: up, a batch, and nothing left however npm ends. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
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
  await chmod(folder, 0o755); // else, as root, the database would lie outside of it
  home = join(folder, 'home');
});

afterEach(async () => {
  // After a failure some are still up, and would write into the folder that is about to go.
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
  // npm 10 and later run on the Node that the machine has; which one is theirs to choose.
  const child = spawn('npm', args, {
    cwd: repo,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], MILLRACE_HOME: home, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (text += data.toString()));
  return { child, output: () => text };
}

async function up(): Promise<Npm> {
  const started = npm('start');
  const isUp = (): boolean => started.output().includes('Millrace is running');
  await eventually('npm start is up', () => isUp() || started.child.exitCode !== null, 60_000);
  expect([isUp(), started.output()]).toEqual([true, expect.anything()]);
  return started;
}

async function allGone(records: readonly ProcessRecord[]): Promise<void> {
  for (const record of records)
    await eventually(`${record.name} is gone`, async () => !(await isRunning(record)), 20_000);
}

test('npm run quickstart against npm start, then SIGTERM to npm: nothing is left', async () => {
  const { child, output } = await up();
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
  await allGone(records);
  expect(await listProcessRecords(home)).toEqual([]);
});

test('a kill -9 of npm takes everything down with it', async () => {
  const { child } = await up();
  const records = await listProcessRecords(home);
  child.kill('SIGKILL');
  await allGone(records);
});

test('npm run quickstart -- --exit starts all by itself, and stops all', async () => {
  const { child, output } = npm('run', 'quickstart', '--', '--exit', '--lines', '300');
  const [code] = (await once(child, 'close')) as [number];
  expect([code, output()]).toEqual([0, expect.stringContaining('303 vectors')]);
  expect(await listProcessRecords(home)).toEqual([]);
  expect(await findPostmaster(join(home, 'postgres'))).toBeNull();
});
