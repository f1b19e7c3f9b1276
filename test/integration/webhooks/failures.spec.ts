/** Webhook deliveries that fail: the retry schedule, breakers, disabled endpoints, and receivers that misbehave. */
import type { Socket } from 'node:net';
import { RetentionStore } from '#database';
import { parseAllowedHosts, createOutbound } from '#outbound';
import { eventually } from '../../support/eventually.ts';
import {
  sendSlowly,
  sendHugeBody,
  resetConnection,
  sendNothing,
  startHostileReceiver,
} from '../../support/hostile-receiver.ts';
import { openWebhookHarness, type WebhookHarness } from './webhook-harness.ts';
import {
  startWebhookReceiver,
  respondWithStatus,
  type WebhookReceiver,
} from '../../support/webhook-receiver.ts';

let harness: WebhookHarness;
let receiver: WebhookReceiver;
const opened: { close(): unknown }[] = [];
beforeEach(async () => {
  [harness, receiver] = await Promise.all([openWebhookHarness(), startWebhookReceiver()]);
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  await harness.close();
  await receiver.close();
});

const [second, minute, hour] = [1_000, 60_000, 3_600_000];
const getFirstDelivery = async (endpointId: string) => (await harness.listDeliveries(endpointId))[0]!;
const waitForAttempts = (endpointId: string, count: number) =>
  eventually(`${count} attempts`, async () => (await getFirstDelivery(endpointId))?.attemptCount === count);
const listAttempts = async (endpointId: string) => {
  const { id } = await getFirstDelivery(endpointId);
  return (await harness.deliveryLog.get(harness.workspaceId, endpointId, id)).attempts;
};
/** Deliveries that are created now are due by then. */
const inOneMinute = () => new Date(Date.now() + minute);
const start = () => {
  harness.startRelay();
  return harness.startSender();
};

test('a receiver that is down for three days gets the event at the tenth attempt, with the same id', async () => {
  receiver.respondWith(respondWithStatus(503));
  const { id } = await harness.createEndpoint(receiver.url);
  const begin = inOneMinute();
  harness.setClock(begin);
  start();
  await harness.commitEvent();
  const waits = [
    5 * second,
    5 * minute,
    30 * minute,
    2 * hour,
    5 * hour,
    10 * hour,
    14 * hour,
    20 * hour,
    24 * hour,
  ];
  for (const [index, wait] of waits.entries()) {
    await waitForAttempts(id, index + 1);
    const { nextAttemptAt } = await getFirstDelivery(id);
    const waited = nextAttemptAt!.getTime() - harness.now().getTime();
    expect(waited).toBeGreaterThanOrEqual(wait);
    expect(waited).toBeLessThanOrEqual(wait * 1.1);
    if (harness.now().getTime() + waited - begin.getTime() > 72 * hour)
      receiver.respondWith(respondWithStatus(200));
    // It is not due 1 ms before its time.
    harness.setClock(new Date(nextAttemptAt!.getTime() - 1));
    harness.setClock(nextAttemptAt);
  }
  await eventually('success', async () => (await getFirstDelivery(id)).status === 'succeeded');
  expect(harness.now().getTime() - begin.getTime()).toBeGreaterThan(72 * hour);
  expect(receiver.requests).toHaveLength(10);
  expect(new Set(receiver.listEventIds()).size).toBe(1);
  expect((await listAttempts(id)).map(({ status }) => status)).toEqual([...Array<number>(9).fill(503), 200]);
});

test('a delivery fails after the tenth attempt, and can be redelivered', async () => {
  receiver.respondWith(respondWithStatus(500));
  const { id } = await harness.createEndpoint(receiver.url);
  harness.setClock(inOneMinute());
  start();
  await harness.commitEvent();
  for (let attempts = 1; attempts < 10; attempts++) {
    await waitForAttempts(id, attempts);
    harness.setClock((await getFirstDelivery(id)).nextAttemptAt);
  }
  await eventually('the delivery fails', async () => (await getFirstDelivery(id)).status === 'failed');
  expect(await getFirstDelivery(id)).toMatchObject({ attemptCount: 10, nextAttemptAt: null });
  harness.setClock(new Date(harness.now().getTime() + 12 * hour));
  receiver.respondWith(respondWithStatus(200));
  expect(await harness.deliveryLog.redeliverFailed(harness.workspaceId, id, { since: 0 })).toBe(1);
  await eventually('success', async () => (await getFirstDelivery(id)).status === 'succeeded');
  expect(await getFirstDelivery(id)).toMatchObject({ attemptCount: 11 });
  expect(new Set(receiver.listEventIds()).size).toBe(1);
});

test('an endpoint that fails for five days is disabled, its pending deliveries fail, and the feed has an event', async () => {
  const [watcher, down] = [await startWebhookReceiver(), receiver];
  opened.push(watcher);
  down.respondWith(respondWithStatus(500));
  const { id } = await harness.createEndpoint(down.url);
  await harness.createEndpoint(watcher.url, { eventTypes: ['webhook_endpoint.*'] });
  const begin = inOneMinute();
  harness.setClock(begin);
  start();
  // An event every twelve hours, each with at least one failed attempt.
  for (let half = 0; half < 10; half++) {
    harness.setClock(new Date(begin.getTime() + half * 12 * hour));
    expect((await harness.endpoints.get(harness.workspaceId, id)).disabledAt).toBeNull();
    await harness.commitEvent();
    const newest = async () => (await harness.listDeliveries(id)).at(-1);
    await eventually('an attempt', async () => {
      const all = await harness.listDeliveries(id);
      if (all.length === half + 1 && (await newest())!.attemptCount > 0) return true;
      // An older delivery that is due may be sent first. Its failure pauses the endpoint, so the clock has to advance.
      if (half > 0) harness.setClock(new Date(harness.now().getTime() + 5_000));
      return false;
    });
  }
  // The next attempt, of a new or an old delivery, is the last one.
  harness.setClock(new Date(begin.getTime() + 5 * 24 * hour));
  await harness.commitEvent();
  await eventually('the endpoint is disabled', async () => {
    if ((await harness.endpoints.get(harness.workspaceId, id)).disabledAt) return true;
    harness.setClock(new Date(harness.now().getTime() + 5_000));
    return false;
  });
  await eventually('the webhook_endpoint.disabled event', () => watcher.requests.length === 1);
  const event = JSON.parse(watcher.requests[0]!.body) as { data: object };
  expect(event).toMatchObject({
    type: 'webhook_endpoint.disabled',
    data: { id, name: 'test', reason: 'failing', failing_since: Math.floor(begin.getTime() / 1_000) },
  });
  // A delivery that was in flight when the endpoint was disabled fails once its attempt is recorded.
  await eventually('all deliveries have failed', async () =>
    (await harness.listDeliveries(id)).every(({ status }) => status === 'failed'),
  );
  const left = await harness.listDeliveries(id);
  expect(new Set(left.map(({ errorCode }) => errorCode))).toContain('endpoint_disabled');
  await harness.commitEvent();
  await harness.endpoints.update(harness.workspaceId, id, {}, false);
  down.respondWith(respondWithStatus(200));
  harness.setClock(new Date(harness.now().getTime() + 6 * 24 * hour));
  const count = await harness.deliveryLog.redeliverFailed(harness.workspaceId, id, { since: 0 });
  expect(count).toBe(left.length);
  await eventually('all deliveries succeed', async () =>
    (await harness.listDeliveries(id)).every(({ status }) => status === 'succeeded'),
  );
});

test('disabling twice keeps the first reason; enabling an enabled endpoint keeps its breaker; another workspace changes nothing', async () => {
  const { id } = await harness.createEndpoint(receiver.url);
  const { workspaceId, endpoints } = harness;
  const breaker = (failures: number) =>
    harness.database.rows(
      'update webhook_endpoints set consecutive_failures = $2, failing_since = now(), paused_until = now() where id = $1',
      [id, failures],
    );
  await harness.commitEvent();
  await breaker(7);
  expect(await endpoints.update(workspaceId, id, {}, false)).toMatchObject({
    consecutiveFailures: 7,
    disabledAt: null,
  });
  const otherWorkspaceId = (await harness.createOtherWorkspace()).workspaceId;
  await expect(endpoints.update(otherWorkspaceId, id, { name: 'theirs' }, true)).rejects.toMatchObject({
    code: 'webhook_endpoint_not_found',
  });
  const off = await endpoints.update(workspaceId, id, { name: 'off' }, true);
  expect(off).toMatchObject({ name: 'off', disabledReason: 'request', consecutiveFailures: 7 });
  await harness.database.rows(`update webhook_endpoints set disabled_reason = 'gone' where id = $1`, [id]);
  const again = await endpoints.update(workspaceId, id, {}, true);
  expect(again).toMatchObject({ disabledReason: 'gone', disabledAt: off.disabledAt });
  expect(await endpoints.update(workspaceId, id, {}, false)).toMatchObject({
    ...{
      name: 'off',
      disabledAt: null,
      disabledReason: null,
      consecutiveFailures: 0,
      failingSince: null,
      pausedUntil: null,
    },
  });
});

test('a delivery that is created while its endpoint is disabled fails, and is not sent when the endpoint is enabled again', async () => {
  receiver.respondWith(respondWithStatus(500));
  const { id } = await harness.createEndpoint(receiver.url);
  start();
  await harness.commitEvent();
  await waitForAttempts(id, 1);
  await harness.endpoints.update(harness.workspaceId, id, {}, true);
  expect(await getFirstDelivery(id)).toMatchObject({ status: 'failed', errorCode: 'endpoint_disabled' });
  const stray = () =>
    harness.database.rows(
      `update deliveries set status = 'pending', error_code = null, finished_at = null, next_attempt_at = now() where endpoint_id = $1`,
      [id],
    );
  await stray();
  expect(await new RetentionStore(harness.database).failStrayDeliveries()).toBe(1);
  expect(await getFirstDelivery(id)).toMatchObject({ status: 'failed', errorCode: 'endpoint_disabled' });
  await stray();
  const { length } = receiver.requests;
  receiver.respondWith(respondWithStatus(200));
  await harness.endpoints.update(harness.workspaceId, id, {}, false);
  expect(await getFirstDelivery(id)).toMatchObject({ status: 'failed', errorCode: 'endpoint_disabled' });
  await harness.commitEvent();
  await eventually('the next event', () => receiver.requests.length > length);
  expect(receiver.requests).toHaveLength(length + 1);
});

test('status 410 disables the endpoint at once', async () => {
  receiver.respondWith(respondWithStatus(410));
  const { id } = await harness.createEndpoint(receiver.url);
  start();
  await harness.commitEvent();
  await eventually(
    'the endpoint is disabled',
    async () => (await harness.endpoints.get(harness.workspaceId, id)).disabledAt !== null,
  );
  expect(await harness.endpoints.get(harness.workspaceId, id)).toMatchObject({ disabledReason: 'gone' });
  expect(await getFirstDelivery(id)).toMatchObject({ status: 'failed', attemptCount: 1 });
  expect(await listAttempts(id)).toMatchObject([{ status: 410, errorCode: 'gone' }]);
});

test('Retry-After delays the delivery and pauses the endpoint', async () => {
  receiver.respondWith((response, received, nth) =>
    (nth === 1 ? respondWithStatus(429, { 'retry-after': '40' }) : respondWithStatus(200))(
      response,
      received,
      nth,
    ),
  );
  const { id } = await harness.createEndpoint(receiver.url);
  const begin = inOneMinute();
  harness.setClock(begin);
  start();
  await harness.commitEvent(0);
  await waitForAttempts(id, 1);
  expect((await getFirstDelivery(id)).nextAttemptAt!.getTime() - begin.getTime()).toBe(40 * second);
  await harness.commitEvent(1);
  await eventually('the delivery is created', async () => (await harness.listDeliveries(id)).length === 2);
  harness.setClock(new Date(begin.getTime() + 39 * second));
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(receiver.requests).toHaveLength(1);
  harness.setClock(new Date(begin.getTime() + 41 * second));
  await eventually('both succeed', async () =>
    (await harness.listDeliveries(id)).every(({ status }) => status === 'succeeded'),
  );
});

test('two endpoints that hang and one that answers 500 do not delay seventeen others', async () => {
  const hanging = await startWebhookReceiver(() => undefined);
  const failing = await startWebhookReceiver(respondWithStatus(500));
  opened.push(hanging, failing);
  for (const url of [hanging.url, `${hanging.url}/2`, failing.url]) await harness.createEndpoint(url);
  for (let n = 0; n < 17; n++) await harness.createEndpoint(`${receiver.url}/${n}`);
  harness.startRelay();
  harness.startSender({ timeoutMs: 30_000 });
  const begin = performance.now();
  for (let n = 0; n < 60; n++) await harness.commitEvent(n % 4);
  await eventually('the others receive all events', () => receiver.requests.length === 17 * 60, 25_000);
  // Less than one attempt that hangs: none of them was waited for.
  expect(performance.now() - begin).toBeLessThan(25_000);
  expect(hanging.requests.length).toBeLessThanOrEqual(2 * 16);
  expect(
    new Set(receiver.requests.map(({ path, headers }) => `${path} ${headers['webhook-id'] as string}`)).size,
  ).toBe(17 * 60);
});

test('a breaker limits the attempts of a failing endpoint, and allows all once it recovers', async () => {
  receiver.respondWith(respondWithStatus(500));
  const { id } = await harness.createEndpoint(receiver.url);
  const begin = inOneMinute();
  harness.setClock(begin);
  harness.startRelay();
  for (let n = 0; n < 200; n++) await harness.commitEvent(n % 4);
  await eventually(
    'the deliveries are created',
    async () => (await harness.listDeliveries(id)).length === 200,
  );
  harness.setClock(inOneMinute());
  harness.startSender();
  await eventually('the breaker is open', async () => {
    const { consecutiveFailures, pausedUntil } = await harness.endpoints.get(harness.workspaceId, id);
    return consecutiveFailures >= 5 && pausedUntil! > harness.now();
  });
  await new Promise((resolve) => setTimeout(resolve, 600));
  const before = receiver.requests.length;
  expect(before).toBeLessThanOrEqual(32);
  harness.setClock(new Date(harness.now().getTime() + 31 * second));
  await eventually('one attempt', () => receiver.requests.length > before);
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(receiver.requests.length).toBeLessThanOrEqual(before + 2);
  receiver.respondWith(respondWithStatus(200));
  // Deliveries that were attempted follow the schedule; the others are due as soon as one has succeeded.
  for (let more = 1; more < 4; more++) {
    harness.setClock(new Date(harness.now().getTime() + 10 * minute));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await eventually('all succeed', async () =>
    (await harness.listDeliveries(id)).every(({ status }) => status === 'succeeded'),
  );
  expect(new Set(receiver.listEventIds()).size).toBe(200);
});

describe('hostile receivers', () => {
  async function hostile(serve: (socket: Socket) => void): Promise<string> {
    const receiver = await startHostileReceiver(serve);
    opened.push(receiver);
    return receiver.url;
  }

  test.each([
    ['sends one byte per second', sendSlowly, 'timeout'],
    ['resets the connection', resetConnection, 'connection_reset'],
    ['sends nothing', sendNothing, 'timeout'],
  ])('the attempt at one that %s fails and is retried', async (_, serve, code) => {
    const { id } = await harness.createEndpoint(await hostile(serve));
    await harness.createEndpoint(receiver.url);
    start();
    await harness.commitEvent();
    await eventually('the other endpoint receives it', () => receiver.requests.length === 1);
    await waitForAttempts(id, 1);
    expect(await listAttempts(id)).toMatchObject([{ status: null, errorCode: code }]);
    expect(await getFirstDelivery(id)).toMatchObject({ status: 'pending' });
  });

  test('a response of 100 MB succeeds, and 20 kB of it are stored', async () => {
    const { id } = await harness.createEndpoint(await hostile(sendHugeBody));
    start();
    await harness.commitEvent();
    await eventually('success', async () => (await getFirstDelivery(id))?.status === 'succeeded');
    const [attempt] = await listAttempts(id);
    expect(attempt).toMatchObject({ responseTruncated: true });
    expect(attempt!.responseBody).toHaveLength(20_000);
  });

  test('a response that is not valid text is stored as far as it can be decoded', async () => {
    receiver.respondWith((response) => void response.end(Buffer.from([0, 0xff, 0x61, 0xed, 0xa0, 0x80])));
    const { id } = await harness.createEndpoint(receiver.url);
    start();
    await harness.commitEvent();
    await eventually('success', async () => (await getFirstDelivery(id))?.status === 'succeeded');
    expect((await listAttempts(id))[0]!.responseBody).toContain('a');
  });

  test('a redirect to an internal address is not followed', async () => {
    const internal = await startWebhookReceiver();
    opened.push(internal);
    receiver.respondWith(respondWithStatus(307, { location: internal.url }));
    const { id } = await harness.createEndpoint(receiver.url);
    start();
    await harness.commitEvent();
    await waitForAttempts(id, 1);
    expect(await listAttempts(id)).toMatchObject([{ status: 307, errorCode: 'redirect_refused' }]);
    expect(internal.requests).toEqual([]);
  });

  test('a name that later resolves to an internal address is refused', async () => {
    const internal = await startWebhookReceiver();
    opened.push(internal);
    const answers = [['93.184.216.34'], ['127.0.0.1'], ['10.0.0.1', '93.184.216.34']];
    const rebinding = createOutbound({
      schemes: ['http'],
      ports: [internal.port],
      allowHosts: parseAllowedHosts([]),
      resolve: async () => answers.shift() ?? ['127.0.0.1'],
    });
    opened.push(rebinding);
    const url = `http://rebinding.example:${internal.port}/`;
    await rebinding.checkUrl(url);
    const { id } = await harness.createEndpoint(url);
    harness.setClock(inOneMinute());
    harness.startRelay();
    harness.startSender({ outbound: rebinding });
    await harness.commitEvent();
    for (let attempts = 1; attempts <= 3; attempts++) {
      await waitForAttempts(id, attempts);
      harness.setClock((await getFirstDelivery(id)).nextAttemptAt);
    }
    const codes = (await listAttempts(id)).map(({ errorCode }) => errorCode);
    expect(new Set(codes)).toEqual(new Set(['url_address_refused']));
    expect(internal.requests).toEqual([]);
  });
});
