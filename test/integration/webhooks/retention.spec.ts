/** Retention of deliveries, attempts and events, what a reader of an expired feed gets, and replays. */
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

let harness: WebhookHarness;
let receiver: WebhookReceiver;
beforeEach(async () => {
  [harness, receiver] = await Promise.all([openWebhookHarness(), startWebhookReceiver()]);
});
afterEach(async () => {
  await harness.close();
  await receiver.close();
});

const runRetention = () => {
  const retention = new RetentionStore(harness.database);
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
  harness.database.rows(
    `with d as (update deliveries d set finished_at = finished_at - make_interval(days => $1), created_at = d.created_at - make_interval(days => $1)
       from events f where f.id = d.event_id and (${where}))
     update events f set created_at = created_at - make_interval(days => $1) where ${where}`,
    [days],
  );
const countRows = async () => {
  const [row] = await harness.database.rows<Record<string, number>>(
    `select (select count(*) from events) as events, (select count(*) from deliveries) as deliveries,
       (select count(*) from delivery_attempts) as attempts, (select count(*) from webhook_endpoints) as endpoints`,
  );
  return row;
};

async function deliver(events: number, endpointId: string): Promise<void> {
  harness.startRelay();
  harness.startSender();
  for (let n = 0; n < events; n++) await harness.commitEvent();
  await eventually('an attempt of each', async () => {
    const deliveries = await harness.listDeliveries(endpointId);
    return deliveries.length === events && deliveries.every(({ attemptCount }) => attemptCount > 0);
  });
}

test('deliveries and events are deleted after their retention times; a pending delivery and its event stay', async () => {
  const { id } = await harness.createEndpoint(receiver.url);
  await deliver(3, id);
  await runRetention();
  expect(await countRows()).toMatchObject({ events: 3, deliveries: 3, attempts: 3 });
  await age(31, 'f.feed_position <= 2');
  await runRetention();
  expect(await countRows()).toMatchObject({ events: 3, deliveries: 1, attempts: 1 });
  await age(60, 'f.feed_position <= 2');
  await runRetention();
  expect(await countRows()).toMatchObject({ events: 1, deliveries: 1, attempts: 1 });
  receiver.respondWith(respondWithStatus(500));
  await harness.commitEvent();
  await eventually(
    'the first attempt fails',
    async () => (await harness.listDeliveries(id))[1]?.attemptCount === 1,
  );
  await age(200);
  await runRetention();
  expect(await countRows()).toMatchObject({ events: 1, deliveries: 1 });
});

test('reading from an expired position fails with feed_expired; reading from a retained one continues', async () => {
  const { id } = await harness.createEndpoint(receiver.url);
  await deliver(5, id);
  await age(91, 'f.feed_position <= 3');
  await runRetention();
  const read = (after: number) => harness.feed.listAfter(harness.workspaceId, after, 10);
  for (const after of [1, 2])
    await expect(read(after)).rejects.toMatchObject({ status: 410, code: 'feed_expired' });
  expect((await read(0)).map(({ position }) => position)).toEqual([4, 5]);
  expect((await read(3)).map(({ position }) => position)).toEqual([4, 5]);
  expect(await read(5)).toEqual([]);
  const replay = (since: Date) =>
    harness.deliveryLog.replay(harness.workspaceId, id, {
      since: Math.floor(since.getTime() / 1_000),
      include: 'missing',
    });
  expect(await replay(new Date(Date.now() - 100 * 86_400_000))).toMatchObject({
    isTruncated: true,
    count: 0,
  });
  expect(await replay(new Date(Date.now() - 3_600_000))).toMatchObject({ isTruncated: false });
  await age(91);
  await runRetention();
  await expect(read(3)).rejects.toMatchObject({ code: 'feed_expired' });
  expect(await read(5)).toEqual([]);
});

test('the webhook of a batch is deleted together with the terminal event of the batch', async () => {
  const { batchId } = harness.subjects[0]!;
  const { id } = await harness.createEndpoint(receiver.url, { subject: batchId });
  await deliver(1, id);
  await age(91);
  await runRetention();
  expect(await countRows()).toMatchObject({ events: 0, endpoints: 1 });
  await harness.commitEvent();
  await eventually('the next request', () => receiver.requests.length === 2);
  await harness.database.rows('update events set terminal = true');
  await eventually(
    'the recorded attempt',
    async () => (await harness.listDeliveries(id))[0]!.status === 'succeeded',
  );
  await age(91);
  await runRetention();
  expect(await countRows()).toMatchObject({ events: 0, endpoints: 0 });
});

test('a replay is in order and in pages, and sends the requested events only', async () => {
  const { id } = await harness.createEndpoint(receiver.url, { eventTypes: ['batch.completed'] });
  harness.startRelay();
  for (let n = 0; n < 4; n++) await harness.commitEvent(n % 2);
  await eventually('the events are published', async () => (await harness.feed.getPublishLagMs()) === 0);
  const all = await harness.feed.listAfter(harness.workspaceId, 0, 10);
  const replay = (over: object) =>
    harness.deliveryLog.replay(harness.workspaceId, id, { since: 0, include: 'missing', ...over });
  expect(await replay({})).toMatchObject({ count: 0, lastEventId: all[3]!.id });
  await harness.endpoints.update(harness.workspaceId, id, { eventTypes: ['batch.*'] });
  expect(await replay({ event_types: ['batch.completed'] })).toMatchObject({ count: 0 });
  expect(await replay({ since: undefined, after: all[1]!.id })).toMatchObject({ count: 2, hasMore: false });
  expect(await replay({})).toMatchObject({ count: 2 });
  expect(await replay({})).toMatchObject({ count: 0 });
  harness.startSender();
  await eventually('all requests', () => receiver.requests.length === 4);
  await eventually('all succeed', async () =>
    (await harness.listDeliveries(id)).every(({ status }) => status === 'succeeded'),
  );
  expect(await replay({})).toMatchObject({ count: 0 });
  expect(await replay({ include: 'all', until: Math.floor(Date.now() / 1_000) + 5 })).toMatchObject({
    count: 4,
  });
  await eventually('all requests again', () => receiver.requests.length === 8);
  expect(new Set(receiver.listEventIds()).size).toBe(4);
  await expect(replay({ since: undefined, after: `evt_${'0'.repeat(32)}` })).rejects.toMatchObject({
    code: 'event_not_found',
  });
});
