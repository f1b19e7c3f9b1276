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

let office: WebhookHarness;
let receiver: WebhookReceiver;
const opened: { close(): unknown }[] = [];
beforeEach(async () => {
  [office, receiver] = await Promise.all([openWebhookHarness(), startWebhookReceiver()]);
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  await office.close();
  await receiver.close();
});

const [second, minute, hour] = [1_000, 60_000, 3_600_000];
const only = async (endpointId: string) => (await office.deliveriesOf(endpointId))[0]!;
const untilTries = (endpointId: string, tries: number) =>
  eventually(`${tries} tries`, async () => (await only(endpointId))?.attemptCount === tries);
const attemptsOf = async (endpointId: string) => {
  const { id } = await only(endpointId);
  return (await office.deliveryLog.get(office.workspaceId, endpointId, id)).attempts;
};
/** A time by which whatever is written now is due. */
const soon = () => new Date(Date.now() + minute);
const start = () => {
  office.startRelay();
  return office.startSender();
};

test('a receiver that is down for three days gets it at the tenth try, under the id of the first', async () => {
  receiver.respondWith(respondWithStatus(503));
  const { id } = await office.endpoint(receiver.url);
  const begin = soon();
  office.setClock(begin);
  start();
  await office.fact();
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
    await untilTries(id, index + 1);
    const { nextAttemptAt } = await only(id);
    const waited = nextAttemptAt!.getTime() - office.now().getTime();
    expect(waited).toBeGreaterThanOrEqual(wait);
    expect(waited).toBeLessThanOrEqual(wait * 1.1);
    if (office.now().getTime() + waited - begin.getTime() > 72 * hour)
      receiver.respondWith(respondWithStatus(200));
    // A moment before it is due, nothing; then it is.
    office.setClock(new Date(nextAttemptAt!.getTime() - 1));
    office.setClock(nextAttemptAt);
  }
  await eventually('it has arrived', async () => (await only(id)).status === 'succeeded');
  expect(office.now().getTime() - begin.getTime()).toBeGreaterThan(72 * hour);
  expect(receiver.requests).toHaveLength(10);
  expect(new Set(receiver.listEventIds()).size).toBe(1);
  expect((await attemptsOf(id)).map(({ status }) => status)).toEqual([...Array<number>(9).fill(503), 200]);
});

test('after the tenth try it has failed, and can be asked for again', async () => {
  receiver.respondWith(respondWithStatus(500));
  const { id } = await office.endpoint(receiver.url);
  office.setClock(soon());
  start();
  await office.fact();
  for (let tries = 1; tries < 10; tries++) {
    await untilTries(id, tries);
    office.setClock((await only(id)).nextAttemptAt);
  }
  await eventually('it has failed', async () => (await only(id)).status === 'failed');
  expect(await only(id)).toMatchObject({ attemptCount: 10, nextAttemptAt: null });
  office.setClock(new Date(office.now().getTime() + 12 * hour));
  receiver.respondWith(respondWithStatus(200));
  expect(await office.deliveryLog.redeliverFailed(office.workspaceId, id, { since: 0 })).toBe(1);
  await eventually('it arrives', async () => (await only(id)).status === 'succeeded');
  expect(await only(id)).toMatchObject({ attemptCount: 11 });
  expect(new Set(receiver.listEventIds()).size).toBe(1);
});

test('an endpoint that fails for five days is disabled, what waits for it fails, and the feed says so', async () => {
  const [watcher, down] = [await startWebhookReceiver(), receiver];
  opened.push(watcher);
  down.respondWith(respondWithStatus(500));
  const { id } = await office.endpoint(down.url);
  await office.endpoint(watcher.url, { eventTypes: ['webhook_endpoint.*'] });
  const begin = soon();
  office.setClock(begin);
  start();
  // An event every twelve hours: each fails at once, and that is enough to know.
  for (let half = 0; half < 10; half++) {
    office.setClock(new Date(begin.getTime() + half * 12 * hour));
    expect((await office.endpoints.get(office.workspaceId, id)).disabledAt).toBeNull();
    await office.fact();
    const newest = async () => (await office.deliveriesOf(id)).at(-1);
    await eventually('it is tried', async () => {
      const all = await office.deliveriesOf(id);
      if (all.length === half + 1 && (await newest())!.attemptCount > 0) return true;
      // An older one that is due may go first, and its failure makes the endpoint rest: a while that has to pass.
      if (half > 0) office.setClock(new Date(office.now().getTime() + 5_000));
      return false;
    });
  }
  // Whichever is tried next, new or old, is the last.
  office.setClock(new Date(begin.getTime() + 5 * 24 * hour));
  await office.fact();
  await eventually('it is disabled', async () => {
    if ((await office.endpoints.get(office.workspaceId, id)).disabledAt) return true;
    office.setClock(new Date(office.now().getTime() + 5_000));
    return false;
  });
  await eventually('its owner is told', () => watcher.requests.length === 1);
  const told = JSON.parse(watcher.requests[0]!.body) as { data: object };
  expect(told).toMatchObject({
    type: 'webhook_endpoint.disabled',
    data: { id, name: 'test', reason: 'failing', failing_since: Math.floor(begin.getTime() / 1_000) },
  });
  const left = await office.deliveriesOf(id);
  expect(left.every(({ status }) => status === 'failed')).toBe(true);
  expect(new Set(left.map(({ errorCode }) => errorCode))).toContain('endpoint_disabled');
  await office.fact();
  await office.endpoints.update(office.workspaceId, id, {}, false);
  down.respondWith(respondWithStatus(200));
  office.setClock(new Date(office.now().getTime() + 6 * 24 * hour));
  const count = await office.deliveryLog.redeliverFailed(office.workspaceId, id, { since: 0 });
  expect(count).toBe(left.length);
  await eventually('all that failed arrives', async () =>
    (await office.deliveriesOf(id)).every(({ status }) => status === 'succeeded'),
  );
});

test('switched off and on: the first reason stays, what is on already keeps its breaker, strangers change nothing', async () => {
  const { id } = await office.endpoint(receiver.url);
  const { workspaceId, endpoints } = office;
  const breaker = (failures: number) =>
    office.database.rows(
      'update webhook_endpoints set consecutive_failures = $2, failing_since = now(), paused_until = now() where id = $1',
      [id, failures],
    );
  await office.fact();
  await breaker(7);
  expect(await endpoints.update(workspaceId, id, {}, false)).toMatchObject({
    consecutiveFailures: 7,
    disabledAt: null,
  });
  const stranger = (await office.otherWorkspace()).workspaceId;
  await expect(endpoints.update(stranger, id, { name: 'theirs' }, true)).rejects.toMatchObject({
    code: 'webhook_endpoint_not_found',
  });
  const off = await endpoints.update(workspaceId, id, { name: 'off' }, true);
  expect(off).toMatchObject({ name: 'off', disabledReason: 'request', consecutiveFailures: 7 });
  await office.database.rows(`update webhook_endpoints set disabled_reason = 'gone' where id = $1`, [id]);
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

test('a delivery that was made in the moment of the end does not wait for ever, nor arrive when all is on again', async () => {
  receiver.respondWith(respondWithStatus(500));
  const { id } = await office.endpoint(receiver.url);
  start();
  await office.fact();
  await untilTries(id, 1);
  await office.endpoints.update(office.workspaceId, id, {}, true);
  expect(await only(id)).toMatchObject({ status: 'failed', errorCode: 'endpoint_disabled' });
  const stray = () =>
    office.database.rows(
      `update deliveries set status = 'pending', error_code = null, finished_at = null, next_attempt_at = now() where endpoint_id = $1`,
      [id],
    );
  await stray();
  expect(await new RetentionStore(office.database).failStrayDeliveries()).toBe(1);
  expect(await only(id)).toMatchObject({ status: 'failed', errorCode: 'endpoint_disabled' });
  await stray();
  const { length } = receiver.requests;
  receiver.respondWith(respondWithStatus(200));
  await office.endpoints.update(office.workspaceId, id, {}, false);
  expect(await only(id)).toMatchObject({ status: 'failed', errorCode: 'endpoint_disabled' });
  await office.fact();
  await eventually('the next fact arrives', () => receiver.requests.length > length);
  expect(receiver.requests).toHaveLength(length + 1);
});

test('410 disables at once', async () => {
  receiver.respondWith(respondWithStatus(410));
  const { id } = await office.endpoint(receiver.url);
  start();
  await office.fact();
  await eventually(
    'it is disabled',
    async () => (await office.endpoints.get(office.workspaceId, id)).disabledAt !== null,
  );
  expect(await office.endpoints.get(office.workspaceId, id)).toMatchObject({ disabledReason: 'gone' });
  expect(await only(id)).toMatchObject({ status: 'failed', attemptCount: 1 });
  expect(await attemptsOf(id)).toMatchObject([{ status: 410, errorCode: 'gone' }]);
});

test('Retry-After is obeyed, and pauses the endpoint', async () => {
  receiver.respondWith((response, one, nth) =>
    (nth === 1 ? respondWithStatus(429, { 'retry-after': '40' }) : respondWithStatus(200))(
      response,
      one,
      nth,
    ),
  );
  const { id } = await office.endpoint(receiver.url);
  const begin = soon();
  office.setClock(begin);
  start();
  await office.fact(0);
  await untilTries(id, 1);
  expect((await only(id)).nextAttemptAt!.getTime() - begin.getTime()).toBe(40 * second);
  await office.fact(1);
  await eventually('it is made', async () => (await office.deliveriesOf(id)).length === 2);
  office.setClock(new Date(begin.getTime() + 39 * second));
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(receiver.requests).toHaveLength(1);
  office.setClock(new Date(begin.getTime() + 41 * second));
  await eventually('both arrive', async () =>
    (await office.deliveriesOf(id)).every(({ status }) => status === 'succeeded'),
  );
});

test('twenty endpoints, two that hang, one that answers 500: the others wait for none of them', async () => {
  const hanging = await startWebhookReceiver(() => undefined);
  const wrong = await startWebhookReceiver(respondWithStatus(500));
  opened.push(hanging, wrong);
  for (const url of [hanging.url, `${hanging.url}/2`, wrong.url]) await office.endpoint(url);
  for (let n = 0; n < 17; n++) await office.endpoint(`${receiver.url}/${n}`);
  office.startRelay();
  office.startSender({ timeoutMs: 30_000 });
  const begin = performance.now();
  for (let n = 0; n < 60; n++) await office.fact(n % 4);
  await eventually('the sound ones have all', () => receiver.requests.length === 17 * 60, 25_000);
  // Far less than one hanging try: none of them was waited for.
  expect(performance.now() - begin).toBeLessThan(25_000);
  expect(hanging.requests.length).toBeLessThanOrEqual(2 * 16);
  expect(
    new Set(receiver.requests.map(({ path, headers }) => `${path} ${headers['webhook-id'] as string}`)).size,
  ).toBe(17 * 60);
});

test('a breaker keeps a failing endpoint to a few tries, and lets all through once it recovers', async () => {
  receiver.respondWith(respondWithStatus(500));
  const { id } = await office.endpoint(receiver.url);
  const begin = soon();
  office.setClock(begin);
  office.startRelay();
  for (let n = 0; n < 200; n++) await office.fact(n % 4);
  await eventually('they are made', async () => (await office.deliveriesOf(id)).length === 200);
  office.setClock(soon());
  office.startSender();
  await eventually('the breaker is open', async () => {
    const { consecutiveFailures, pausedUntil } = await office.endpoints.get(office.workspaceId, id);
    return consecutiveFailures >= 5 && pausedUntil! > office.now();
  });
  await new Promise((resolve) => setTimeout(resolve, 600));
  const before = receiver.requests.length;
  expect(before).toBeLessThanOrEqual(32);
  office.setClock(new Date(office.now().getTime() + 31 * second));
  await eventually('one is tried', () => receiver.requests.length > before);
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(receiver.requests.length).toBeLessThanOrEqual(before + 2);
  receiver.respondWith(respondWithStatus(200));
  // Those that were tried have their place in the schedule; the others are due as soon as one got through.
  for (let more = 1; more < 4; more++) {
    office.setClock(new Date(office.now().getTime() + 10 * minute));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await eventually('all have arrived', async () =>
    (await office.deliveriesOf(id)).every(({ status }) => status === 'succeeded'),
  );
  expect(new Set(receiver.listEventIds()).size).toBe(200);
});

describe('what a receiver may do to hurt', () => {
  async function hostile(serve: (socket: Socket) => void): Promise<string> {
    const receiver = await startHostileReceiver(serve);
    opened.push(receiver);
    return receiver.url;
  }

  test.each([
    ['drips a byte a second', sendSlowly, 'timeout'],
    ['resets', resetConnection, 'connection_reset'],
    ['says nothing', sendNothing, 'timeout'],
  ])('one that %s has failed, and is tried again', async (_, serve, code) => {
    const { id } = await office.endpoint(await hostile(serve));
    await office.endpoint(receiver.url);
    start();
    await office.fact();
    await eventually('the sound one has it', () => receiver.requests.length === 1);
    await untilTries(id, 1);
    expect(await attemptsOf(id)).toMatchObject([{ status: null, errorCode: code }]);
    expect(await only(id)).toMatchObject({ status: 'pending' });
  });

  test('one that answers 100 MB has it, and 20 kB of the answer are kept', async () => {
    const { id } = await office.endpoint(await hostile(sendHugeBody));
    start();
    await office.fact();
    await eventually('it is done', async () => (await only(id))?.status === 'succeeded');
    const [attempt] = await attemptsOf(id);
    expect(attempt).toMatchObject({ responseTruncated: true });
    expect(attempt!.responseBody).toHaveLength(20_000);
  });

  test('bytes that are no text are kept as what can be shown of them', async () => {
    receiver.respondWith((response) => void response.end(Buffer.from([0, 0xff, 0x61, 0xed, 0xa0, 0x80])));
    const { id } = await office.endpoint(receiver.url);
    start();
    await office.fact();
    await eventually('it is done', async () => (await only(id))?.status === 'succeeded');
    expect((await attemptsOf(id))[0]!.responseBody).toContain('a');
  });

  test('one that redirects to an internal address: nobody goes there', async () => {
    const inside = await startWebhookReceiver();
    opened.push(inside);
    receiver.respondWith(respondWithStatus(307, { location: inside.url }));
    const { id } = await office.endpoint(receiver.url);
    start();
    await office.fact();
    await untilTries(id, 1);
    expect(await attemptsOf(id)).toMatchObject([{ status: 307, errorCode: 'redirect_refused' }]);
    expect(inside.requests).toEqual([]);
  });

  test('one whose name turns to an internal address: nobody goes there', async () => {
    const inside = await startWebhookReceiver();
    opened.push(inside);
    const answers = [['93.184.216.34'], ['127.0.0.1'], ['10.0.0.1', '93.184.216.34']];
    const rebinding = createOutbound({
      schemes: ['http'],
      ports: [inside.port],
      allowHosts: parseAllowedHosts([]),
      resolve: async () => answers.shift() ?? ['127.0.0.1'],
    });
    opened.push(rebinding);
    const url = `http://rebinding.example:${inside.port}/`;
    await rebinding.checkUrl(url);
    const { id } = await office.endpoint(url);
    office.setClock(soon());
    office.startRelay();
    office.startSender({ outbound: rebinding });
    await office.fact();
    for (let tries = 1; tries <= 3; tries++) {
      await untilTries(id, tries);
      office.setClock((await only(id)).nextAttemptAt);
    }
    const codes = (await attemptsOf(id)).map(({ errorCode }) => errorCode);
    expect(new Set(codes)).toEqual(new Set(['url_address_refused']));
    expect(inside.requests).toEqual([]);
  });
});
