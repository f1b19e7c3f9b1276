import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Database, FeedStore } from '#database';
import { eventually, pause } from '../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { createSubjects, readFeeds, writeEvent, type Subject } from './feed-writers.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const running = new Set<ChildProcess>();
let server: TestDatabase;
let database: Database;
let feed: FeedStore;
let subjects: Subject[];

beforeEach(async () => {
  server = await createDatabase();
  database = await Database.connect({ url: server.url, poolMax: 4, applicationName: 'feed-test' });
  await database.migrate();
  feed = new FeedStore(database);
  subjects = await createSubjects(database, 1, 4);
});
afterEach(async () => {
  await Promise.all([...running].map((child) => end(child, 'SIGKILL')));
  await database.close();
  await server.drop();
});

async function startRelayProcess(): Promise<ChildProcess> {
  const args = [
    '--conditions=source',
    '--import',
    path('../support/typescript.mjs'),
    path('./relay-process.ts'),
    server.url,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  running.delete(child);
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** Two relays, of which the first is elected; facts flow while `fault` befalls it. @returns ms until the other stamps. */
async function handOver(fault: (holder: ChildProcess) => Promise<void>): Promise<number> {
  const holder = await startRelayProcess();
  await eventually('the first is elected', async () => (await epoch()) === 1);
  await startRelayProcess();
  let writing = true;
  const writer = (async () => {
    for (let n = 0; writing; n++)
      await writeEvent(database, subjects[n % subjects.length]!, Math.random() * 3);
  })();
  await eventually('facts are stamped', async () => (await head()) > 50);
  await fault(holder);
  const [faultAt, before] = [performance.now(), await head()];
  await eventually('the other stamps', async () => (await head()) > before);
  const ms = performance.now() - faultAt;
  await eventually('much more is stamped', async () => (await head()) > before + 50);
  writing = false;
  await writer;
  return ms;
}

const epoch = async () => (await database.rows<{ epoch: number }>('select epoch from leases'))[0]?.epoch;
const head = async () => [...(await feed.getHeads([subjects[0]!.workspaceId])).values()][0]!;

async function expectWholeFeed(): Promise<void> {
  const [row] = await database.rows<{ n: number }>('select count(*) as n from events');
  await eventually('all is stamped', async () => (await head()) === row!.n);
  const [facts] = [...(await readFeeds(feed, [subjects[0]!.workspaceId], async () => true)).values()];
  expect(facts!.map(({ position }) => position)).toEqual(
    Array.from({ length: row!.n }, (_, index) => index + 1),
  );
  expect(new Set(facts!.map(({ id }) => id)).size).toBe(row!.n);
}

test('the relay killed with -9: another stamps within 3 s, nothing is lost or stamped twice', async () => {
  expect(await handOver((holder) => end(holder, 'SIGKILL'))).toBeLessThan(3_000);
  expect(await epoch()).toBe(2);
  await expectWholeFeed();
});

test('the relay frozen: another takes over, and the frozen one does no harm when it goes on', async () => {
  let frozen: ChildProcess;
  const ms = await handOver(async (holder) => void (frozen = holder).kill('SIGSTOP'));
  expect(ms).toBeLessThan(3_000);
  frozen!.kill('SIGCONT');
  for (let n = 0; n < 100; n++) await writeEvent(database, subjects[n % subjects.length]!);
  await pause(1_000);
  expect(await epoch()).toBe(2);
  await expectWholeFeed();
});

test('the relay stopped in order: its place is free at once, not after the lease has run out', async () => {
  expect(await handOver((holder) => end(holder, 'SIGTERM'))).toBeLessThan(1_500);
  expect(await epoch()).toBe(2);
  await expectWholeFeed();
});
