import { RetentionStore } from '#database';
import { createLogger } from '#telemetry';
import { deleteExpired } from '../../../apps/api/src/background/maintenance/delete-expired.ts';
import { deleteExpiredEvents } from '../../../apps/api/src/live/delete-expired-events.ts';
import { deleteExpiredAttempts } from '../../../apps/api/src/tasks/delete-expired-attempts.ts';
import { deleteExpiredDeliveries } from '../../../apps/api/src/webhooks/delete-expired-deliveries.ts';
import { eventually } from '../../support/eventually.ts';
import { openWebhookHarness, type WebhookHarness } from './webhook-harness.ts';
import {
  startWebhookReceiver,
  respondWithStatus,
  type WebhookReceiver,
} from '../../support/webhook-receiver.ts';

let office: WebhookHarness;
let receiver: WebhookReceiver;
beforeEach(async () => {
  [office, receiver] = await Promise.all([openWebhookHarness(), startWebhookReceiver()]);
});
afterEach(async () => {
  await office.close();
  await receiver.close();
});

const sweep = () => {
  const retention = new RetentionStore(office.database);
  return deleteExpired(
    [
      { rows: 'deliveries', run: () => deleteExpiredDeliveries(retention, 30) },
      { rows: 'events', run: () => deleteExpiredEvents(retention, 90) },
      { rows: 'attempts', run: () => deleteExpiredAttempts(retention, 90) },
    ],
    createLogger('test', 'silent'),
  );
};
const age = (days: number, where = 'true') =>
  office.database.rows(
    `with d as (update deliveries d set finished_at = finished_at - make_interval(days => $1), created_at = d.created_at - make_interval(days => $1)
       from events f where f.id = d.event_id and (${where}))
     update events f set created_at = created_at - make_interval(days => $1) where ${where}`,
    [days],
  );
const counts = async () => {
  const [row] = await office.database.rows<Record<string, number>>(
    `select (select count(*) from events) as events, (select count(*) from deliveries) as deliveries,
       (select count(*) from delivery_attempts) as attempts, (select count(*) from webhook_endpoints) as endpoints`,
  );
  return row;
};

async function deliver(facts: number, endpointId: string): Promise<void> {
  office.startRelay();
  office.startSender();
  for (let n = 0; n < facts; n++) await office.fact();
  await eventually('all are tried', async () => {
    const all = await office.deliveriesOf(endpointId);
    return all.length === facts && all.every(({ attemptCount }) => attemptCount > 0);
  });
}

test('deliveries go after their time, events after theirs, and what is under way stays', async () => {
  const { id } = await office.endpoint(receiver.url);
  await deliver(3, id);
  await sweep();
  expect(await counts()).toMatchObject({ events: 3, deliveries: 3, attempts: 3 });
  await age(31, 'f.feed_position <= 2');
  await sweep();
  expect(await counts()).toMatchObject({ events: 3, deliveries: 1, attempts: 1 });
  await age(60, 'f.feed_position <= 2');
  await sweep();
  expect(await counts()).toMatchObject({ events: 1, deliveries: 1, attempts: 1 });
  receiver.respondWith(respondWithStatus(500));
  await office.fact();
  await eventually('it has failed once', async () => (await office.deliveriesOf(id))[1]?.attemptCount === 1);
  await age(200);
  await sweep();
  expect(await counts()).toMatchObject({ events: 1, deliveries: 1 });
});

test('a reader from before what is kept is told so, and one from after reads on', async () => {
  const { id } = await office.endpoint(receiver.url);
  await deliver(5, id);
  await age(91, 'f.feed_position <= 3');
  await sweep();
  const read = (after: number) => office.feed.listAfter(office.workspaceId, after, 10);
  for (const after of [1, 2])
    await expect(read(after)).rejects.toMatchObject({ status: 410, code: 'feed_expired' });
  expect((await read(0)).map(({ position }) => position)).toEqual([4, 5]);
  expect((await read(3)).map(({ position }) => position)).toEqual([4, 5]);
  expect(await read(5)).toEqual([]);
  const replay = (since: Date) =>
    office.deliveryLog.replay(office.workspaceId, id, {
      since: Math.floor(since.getTime() / 1_000),
      include: 'missing',
    });
  expect(await replay(new Date(Date.now() - 100 * 86_400_000))).toMatchObject({
    isTruncated: true,
    count: 0,
  });
  expect(await replay(new Date(Date.now() - 3_600_000))).toMatchObject({ isTruncated: false });
  await age(91);
  await sweep();
  await expect(read(3)).rejects.toMatchObject({ code: 'feed_expired' });
  expect(await read(5)).toEqual([]);
});

test('the webhook of a batch goes with the batch’s end', async () => {
  const { batchId } = office.subjects[0]!;
  const { id } = await office.endpoint(receiver.url, { subject: batchId });
  await deliver(1, id);
  await age(91);
  await sweep();
  expect(await counts()).toMatchObject({ events: 0, endpoints: 1 });
  await office.fact();
  await eventually('the next arrives', () => receiver.requests.length === 2);
  await office.database.rows('update events set terminal = true');
  await eventually(
    'it is written down',
    async () => (await office.deliveriesOf(id))[0]!.status === 'succeeded',
  );
  await age(91);
  await sweep();
  expect(await counts()).toMatchObject({ events: 0, endpoints: 0 });
});

test('a replay goes in order, a page at a time, and sends nothing that is not asked for', async () => {
  const { id } = await office.endpoint(receiver.url, { eventTypes: ['batch.completed'] });
  office.startRelay();
  for (let n = 0; n < 4; n++) await office.fact(n % 2);
  await eventually('they are stamped', async () => (await office.feed.getPublishLagMs()) === 0);
  const all = await office.feed.listAfter(office.workspaceId, 0, 10);
  const replay = (over: object) =>
    office.deliveryLog.replay(office.workspaceId, id, { since: 0, include: 'missing', ...over });
  expect(await replay({})).toMatchObject({ count: 0, lastEventId: all[3]!.id });
  await office.endpoints.update(office.workspaceId, id, { eventTypes: ['batch.*'] });
  expect(await replay({ event_types: ['batch.completed'] })).toMatchObject({ count: 0 });
  expect(await replay({ since: undefined, after: all[1]!.id })).toMatchObject({ count: 2, hasMore: false });
  expect(await replay({})).toMatchObject({ count: 2 });
  expect(await replay({})).toMatchObject({ count: 0 });
  office.startSender();
  await eventually('all arrive', () => receiver.requests.length === 4);
  await eventually('all succeed', async () =>
    (await office.deliveriesOf(id)).every(({ status }) => status === 'succeeded'),
  );
  expect(await replay({})).toMatchObject({ count: 0 });
  expect(await replay({ include: 'all', until: Math.floor(Date.now() / 1_000) + 5 })).toMatchObject({
    count: 4,
  });
  await eventually('all arrive again', () => receiver.requests.length === 8);
  expect(new Set(receiver.listEventIds()).size).toBe(4);
  await expect(replay({ since: undefined, after: `evt_${'0'.repeat(32)}` })).rejects.toMatchObject({
    code: 'event_not_found',
  });
});
