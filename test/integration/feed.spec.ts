import type { EventObject } from '@millrace/contracts';
import { Database, FeedStore, LeaseStore, type Lease } from '#database';
import { connectBus, type Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { startRelay } from '../../apps/api/src/live/relay.ts';
import { eventually, pause } from '../support/eventually.ts';
import { createMigratedDatabase } from '../support/migrated-database.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { createSubjects, readFeeds, writeEvent, writeOutOfOrder, type Subject } from './feed-writers.ts';

const log = createLogger('test', 'silent');
let server: TestDatabase;
let database: Database;
let feed: FeedStore;
let leases: LeaseStore;
let bus: Bus;
let subjects: Subject[];
let workspaceIds: string[];

beforeEach(async () => {
  server = await createMigratedDatabase();
  database = await Database.connect({ url: server.url, poolMax: 20, applicationName: 'feed-test' });
  [feed, leases] = [new FeedStore(database), new LeaseStore(database)];
  bus = await connectBus({ kind: 'postgres', url: server.url }, { log });
  subjects = await createSubjects(database, 3, 8);
  workspaceIds = [...new Set(subjects.map(({ workspaceId }) => workspaceId))];
});
afterEach(async () => {
  await bus.close();
  await database.close();
  await server.drop();
});

const countUnpublished = async () => {
  const [row] = await database.rows<{ n: number }>(
    'select count(*) as n from events where feed_position is null',
  );
  return row!.n;
};

function expectComplete(feeds: Map<string, EventObject[]>, written: number): void {
  expect([...feeds.values()].flat()).toHaveLength(written);
  for (const events of feeds.values()) {
    expect(events.map(({ position }) => position)).toEqual(events.map((_, index) => index + 1));
    for (const ofSubject of Map.groupBy(events, ({ subject }) => subject).values()) {
      expect(ofSubject.map(({ sequence }) => sequence)).toEqual(ofSubject.map((_, index) => index + 1));
    }
  }
}

describe('16 writers whose transactions commit out of order', () => {
  test('a reader that follows positions gets every event once, without gaps, each subject in order', async () => {
    const relay = startRelay({ feed, leases, bus, log });
    try {
      let written: number | null = null;
      const writing = writeOutOfOrder(database, subjects, 60).then((count) => (written = count));
      const feeds = await readFeeds(
        feed,
        workspaceIds,
        async () => written !== null && (await countUnpublished()) === 0,
      );
      await writing;
      expectComplete(feeds, written!);
    } finally {
      await relay.stop();
    }
  });

  test('a relay that reads the tail of the serial number misses events, and this suite detects it', async () => {
    let written: number | null = null;
    const writing = writeOutOfOrder(database, subjects, 60).then((count) => (written = count));
    const publishTail = createTailPublisher(database);
    const feeds = await readFeeds(feed, workspaceIds, async () => {
      const over = written !== null;
      return (await publishTail()) === 0 && over;
    });
    await writing;
    const read = [...feeds.values()].flat().length;
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(written!);
    expect(() => expectComplete(feeds, written!)).toThrow();
  });
});

/**
 * Publishes the wrong way: it takes events with a higher number than the last one for the new events.
 * @returns a function that publishes once and returns the number of events.
 */
function createTailPublisher(db: Database): () => Promise<number> {
  let last = 0;
  return async () => {
    const sql = 'select number, workspace_id from events where number > $1 order by number';
    const rows = await db.rows<{ number: number; workspace_id: string }>(sql, [last]);
    for (const { number, workspace_id } of rows) {
      await db.rows(
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

describe('publish', () => {
  let lease: Lease;
  beforeEach(async () => {
    lease = (await leases.acquire('relay', 'me', 60_000))!;
  });

  test('returns the positions of each workspace, and publishes an event only once', async () => {
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

  test('publishes up to the limit, and the next call continues', async () => {
    for (let n = 0; n < 7; n++) await writeEvent(database, subjects[0]!);
    const sizes = [];
    for (let n = 0; n < 4; n++)
      sizes.push((await feed.publish(lease, 3))!.ranges.map(({ from, to }) => to - from + 1));
    expect(sizes).toEqual([[3], [3], [1], []]);
  });

  test('concurrent calls under one lease publish each event once, without gaps', async () => {
    let written: number | null = null;
    const writing = writeOutOfOrder(database, subjects, 20).then((count) => (written = count));
    const publishing = Array.from({ length: 6 }, async () => {
      do await feed.publish(lease, 1_000);
      while (written === null);
    });
    await Promise.all([writing, ...publishing]);
    await feed.publish(lease, 1_000);
    expectComplete(await readFeeds(feed, workspaceIds, async () => true), written!);
  });

  test('a holder whose lease has expired publishes nothing, even if its statement arrives late', async () => {
    const [shortLived, subject] = [await leases.acquire('late', 'frozen', 30), subjects[0]!];
    await writeEvent(database, subject);
    await pause(50);
    expect(await feed.publish(shortLived!, 100)).toBeNull();
    let successor: Lease | null = null;
    await eventually(
      'the lease expires',
      async () => (successor = await leases.acquire('late', 'next', 60_000)) !== null,
    );
    expect(await feed.publish(shortLived!, 100)).toBeNull();
    expect(await countUnpublished()).toBe(1);
    expect((await feed.publish(successor!, 100))!.ranges).toHaveLength(1);
    expect(await feed.publish({ ...successor!, epoch: 1 }, 100)).toBeNull();
    expect(await feed.publish({ ...successor!, name: 'none' }, 100)).toBeNull();
  });

  test('the events of one subject can be read in their order, and only in its workspace', async () => {
    const [mine, other] = [subjects[0]!, subjects[1]!];
    for (const subject of [mine, other, mine, mine]) await writeEvent(database, subject);
    expect(await feed.listSubject(mine.workspaceId, mine.batchId, 0, 10)).toEqual([]);
    expect(await feed.getPublishLagMs()).toBeGreaterThan(0);
    await feed.publish(lease, 100);
    expect(await feed.getPublishLagMs()).toBe(0);
    const events = await feed.listSubject(mine.workspaceId, mine.batchId, 1, 10);
    expect(events).toMatchObject([
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
