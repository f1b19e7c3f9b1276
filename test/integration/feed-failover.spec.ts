import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Database, FeedStore } from '#database';
import { eventually, pause } from '../support/eventually.ts';
import { createMigratedDatabase } from '../support/migrated-database.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { createSubjects, readFeeds, writeEvent, type Subject } from './feed-writers.ts';

const toPath = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const running = new Set<ChildProcess>();
let server: TestDatabase;
let database: Database;
let feed: FeedStore;
let subjects: Subject[];

beforeEach(async () => {
  server = await createMigratedDatabase();
  database = await Database.connect({ url: server.url, poolMax: 4, applicationName: 'feed-test' });
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
    toPath('../support/typescript.mjs'),
    toPath('./relay-process.ts'),
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

/** Runs two relays and applies `fault` to the elected one while events are written. @returns ms until the other publishes. */
async function failOver(fault: (holder: ChildProcess) => Promise<void>): Promise<number> {
  const holder = await startRelayProcess();
  await eventually('the first is elected', async () => (await getEpoch()) === 1);
  await startRelayProcess();
  let writing = true;
  const writer = (async () => {
    for (let n = 0; writing; n++)
      await writeEvent(database, subjects[n % subjects.length]!, Math.random() * 3);
  })();
  await eventually('events are published', async () => (await getHead()) > 50);
  await fault(holder);
  const [faultAt, before] = [performance.now(), await getHead()];
  await eventually('the other publishes', async () => (await getHead()) > before);
  const ms = performance.now() - faultAt;
  await eventually('many more are published', async () => (await getHead()) > before + 50);
  writing = false;
  await writer;
  return ms;
}

const getEpoch = async () => (await database.rows<{ epoch: number }>('select epoch from leases'))[0]?.epoch;
const getHead = async () => [...(await feed.getHeads([subjects[0]!.workspaceId])).values()][0]!;

async function expectCompleteFeed(): Promise<void> {
  const [row] = await database.rows<{ n: number }>('select count(*) as n from events');
  await eventually('all are published', async () => (await getHead()) === row!.n);
  const [events] = [...(await readFeeds(feed, [subjects[0]!.workspaceId], async () => true)).values()];
  expect(events!.map(({ position }) => position)).toEqual(
    Array.from({ length: row!.n }, (_, index) => index + 1),
  );
  expect(new Set(events!.map(({ id }) => id)).size).toBe(row!.n);
}

test('when the relay is killed with -9, another publishes within 3 s, and each event is published once', async () => {
  expect(await failOver((holder) => end(holder, 'SIGKILL'))).toBeLessThan(3_000);
  expect(await getEpoch()).toBe(2);
  await expectCompleteFeed();
});

test('when the relay is frozen, another takes over, and the frozen one does no harm when it continues', async () => {
  let frozen: ChildProcess;
  const ms = await failOver(async (holder) => void (frozen = holder).kill('SIGSTOP'));
  expect(ms).toBeLessThan(3_000);
  frozen!.kill('SIGCONT');
  for (let n = 0; n < 100; n++) await writeEvent(database, subjects[n % subjects.length]!);
  await pause(1_000);
  expect(await getEpoch()).toBe(2);
  await expectCompleteFeed();
});

test('when the relay is stopped by SIGTERM, another takes over at once, before the lease would expire', async () => {
  expect(await failOver((holder) => end(holder, 'SIGTERM'))).toBeLessThan(1_500);
  expect(await getEpoch()).toBe(2);
  await expectCompleteFeed();
});
