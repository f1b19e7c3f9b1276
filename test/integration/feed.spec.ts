import type { Fact } from '@millrace/contracts';
import { Database, FeedStore, LeaseStore, type Lease } from '#database';
import { connectBus, type Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { startRelay } from '../../apps/api/src/live/relay.ts';
import { eventually, pause } from '../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { createSubjects, readFeeds, writeEvent, writeOutOfOrder, type Subject } from './feed-writers.ts';

const log = createLogger('test', 'silent');
let test_: TestDatabase;
let database: Database;
let feed: FeedStore;
let leases: LeaseStore;
let bus: Bus;
let subjects: Subject[];
let workspaceIds: string[];

beforeEach(async () => {
  test_ = await createDatabase();
  database = await Database.connect({ url: test_.url, poolMax: 20, applicationName: 'feed-test' });
  await database.migrate();
  [feed, leases] = [new FeedStore(database), new LeaseStore(database)];
  bus = await connectBus({ kind: 'postgres', url: test_.url }, { log });
  subjects = await createSubjects(database, 3, 8);
  workspaceIds = [...new Set(subjects.map(({ workspaceId }) => workspaceId))];
});
afterEach(async () => {
  await bus.close();
  await database.close();
  await test_.drop();
});

const unstamped = async () => {
  const [row] = await database.rows<{ n: number }>(
    'select count(*) as n from events where feed_position is null',
  );
  return row!.n;
};

function expectWhole(feeds: Map<string, Fact[]>, written: number): void {
  expect([...feeds.values()].flat()).toHaveLength(written);
  for (const facts of feeds.values()) {
    expect(facts.map(({ position }) => position)).toEqual(facts.map((_, index) => index + 1));
    for (const ofSubject of Map.groupBy(facts, ({ subject }) => subject).values()) {
      expect(ofSubject.map(({ sequence }) => sequence)).toEqual(ofSubject.map((_, index) => index + 1));
    }
  }
}

describe('16 writers whose transactions commit out of order', () => {
  test('a reader that follows positions gets every fact once, without holes, each subject in order', async () => {
    const relay = startRelay({ feed, leases, bus, log });
    try {
      let written: number | null = null;
      const writing = writeOutOfOrder(database, subjects, 60).then((count) => (written = count));
      const feeds = await readFeeds(
        feed,
        workspaceIds,
        async () => written !== null && (await unstamped()) === 0,
      );
      await writing;
      expectWhole(feeds, written!);
    } finally {
      await relay.stop();
    }
  });

  test('a relay that reads the tail of the serial loses facts: this suite can tell', async () => {
    let written: number | null = null;
    const writing = writeOutOfOrder(database, subjects, 60).then((count) => (written = count));
    const tail = tailReader(database);
    const feeds = await readFeeds(feed, workspaceIds, async () => {
      const over = written !== null;
      return (await tail()) === 0 && over;
    });
    await writing;
    const read = [...feeds.values()].flat().length;
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(written!);
    expect(() => expectWhole(feeds, written!)).toThrow();
  });
});

/** The mistake: what is new is what has a higher number than the last. @returns one round, which says how many it stamped. */
function tailReader(deps: Database): () => Promise<number> {
  let last = 0;
  return async () => {
    const sql = 'select number, workspace_id from events where number > $1 order by number';
    const rows = await deps.rows<{ number: number; workspace_id: string }>(sql, [last]);
    for (const { number, workspace_id } of rows) {
      await deps.rows(
        `with head as (
           insert into feeds (workspace_id, position) values ($1, 1)
           on conflict (workspace_id) do update set position = feeds.position + 1
           returning position
         )
         update events set feed_position = (select position from head) where number = $2`,
        [workspace_id, number],
      );
      last = number;
    }
    return rows.length;
  };
}

describe('stamping', () => {
  let lease: Lease;
  beforeEach(async () => {
    lease = (await leases.acquire('relay', 'me', 60_000))!;
  });

  test('says which positions each workspace got, and has nothing to do twice', async () => {
    const [first, second] = [subjects[0]!, subjects[8]!];
    for (const subject of [first, second, first]) await writeEvent(database, subject);
    const { ranges } = (await feed.publish(lease, 100))!;
    expect(new Map(ranges.map(({ workspaceId, from, to }) => [workspaceId, [from, to]]))).toEqual(
      new Map([
        [first.workspaceId, [1, 2]],
        [second.workspaceId, [1, 1]],
      ]),
    );
    expect(await feed.publish(lease, 100)).toEqual({ ranges: [], deliveries: 0 });
    await writeEvent(database, first);
    expect((await feed.publish(lease, 100))!.ranges).toEqual([
      { workspaceId: first.workspaceId, from: 3, to: 3 },
    ]);
    expect(await feed.getHeads([...workspaceIds, 'ws_none'])).toEqual(
      new Map([
        [first.workspaceId, 3],
        [second.workspaceId, 1],
        [workspaceIds[2], 0],
        ['ws_none', 0],
      ]),
    );
  });

  test('a limit cuts, and the next call goes on', async () => {
    for (let n = 0; n < 7; n++) await writeEvent(database, subjects[0]!);
    const sizes = [];
    for (let n = 0; n < 4; n++)
      sizes.push((await feed.publish(lease, 3))!.ranges.map(({ from, to }) => to - from + 1));
    expect(sizes).toEqual([[3], [3], [1], []]);
  });

  test('stamps of one tenure that overlap place each fact once, without holes', async () => {
    let written: number | null = null;
    const writing = writeOutOfOrder(database, subjects, 20).then((count) => (written = count));
    const stamping = Array.from({ length: 6 }, async () => {
      do await feed.publish(lease, 1_000);
      while (written === null);
    });
    await Promise.all([writing, ...stamping]);
    await feed.publish(lease, 1_000);
    expectWhole(await readFeeds(feed, workspaceIds, async () => true), written!);
  });

  test('a holder whose lease has passed to another stamps nothing, however late its statement comes', async () => {
    const [shortLived, subject] = [await leases.acquire('late', 'frozen', 30), subjects[0]!];
    await writeEvent(database, subject);
    await pause(50);
    expect(await feed.publish(shortLived!, 100)).toBeNull();
    let successor: Lease | null = null;
    await eventually(
      'the lease passes on',
      async () => (successor = await leases.acquire('late', 'next', 60_000)) !== null,
    );
    expect(await feed.publish(shortLived!, 100)).toBeNull();
    expect(await unstamped()).toBe(1);
    expect((await feed.publish(successor!, 100))!.ranges).toHaveLength(1);
    expect(await feed.publish({ ...successor!, epoch: 1 }, 100)).toBeNull();
    expect(await feed.publish({ ...successor!, name: 'none' }, 100)).toBeNull();
  });

  test('one subject can be read alone, in its own order, and only within its workspace', async () => {
    const [mine, other] = [subjects[0]!, subjects[1]!];
    for (const subject of [mine, other, mine, mine]) await writeEvent(database, subject);
    expect(await feed.listSubject(mine.workspaceId, mine.batchId, 0, 10)).toEqual([]);
    expect(await feed.getPublishLagMs()).toBeGreaterThan(0);
    await feed.publish(lease, 100);
    expect(await feed.getPublishLagMs()).toBe(0);
    const facts = await feed.listSubject(mine.workspaceId, mine.batchId, 1, 10);
    expect(facts).toMatchObject([
      {
        object: 'event',
        type: 'batch.in_progress',
        subject: mine.batchId,
        sequence: 2,
        position: 3,
        data: { id: mine.batchId },
      },
      { sequence: 3, position: 4 },
    ]);
    expect(await feed.listSubject(workspaceIds[1]!, mine.batchId, 0, 10)).toEqual([]);
  });
});
