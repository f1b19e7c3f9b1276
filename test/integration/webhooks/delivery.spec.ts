/** Webhook deliveries from the committed event to the receiver: signatures, subscriptions, leases, rate limits and order. */
import OpenAI from 'openai';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { eventually } from '../../support/eventually.ts';
import { openWebhookHarness, sealer, type WebhookHarness } from './webhook-harness.ts';
import {
  startWebhookReceiver,
  respondWithStatus,
  type ReceivedRequest,
  type WebhookReceiver,
} from '../../support/webhook-receiver.ts';
import { sealSecret } from '../../../apps/api/src/webhooks/seal-webhook-endpoint.ts';
import { createSigningSecret, buildSecretHint } from '#webhooks';

let harness: WebhookHarness;
let receiver: WebhookReceiver;
beforeEach(async () => {
  [harness, receiver] = await Promise.all([openWebhookHarness(), startWebhookReceiver()]);
});
afterEach(async () => {
  await harness.close();
  await receiver.close();
});

const verifiers: Record<string, (request: ReceivedRequest, secret: string) => unknown> = {
  standardwebhooks: ({ body, headers }, secret) =>
    new StandardWebhook(secret).verify(body, headers as Record<string, string>),
  svix: ({ body, headers }, secret) =>
    new SvixWebhook(secret).verify(body, headers as Record<string, string>),
  openai: ({ body, headers }, secret) =>
    new OpenAI({ apiKey: 'none', webhookSecret: secret }).webhooks.unwrap(body, headers),
};

test('an event is delivered with a signature, and the attempt is recorded', async () => {
  const { id, secret } = await harness.createEndpoint(receiver.url, {
    headers: { Authorization: 'Bearer s3cret' },
  });
  harness.startRelay();
  harness.startSender();
  await harness.commitEvent();
  await eventually('the request', () => receiver.requests.length === 1);
  const [request] = receiver.requests;
  const [event] = await harness.feed.listAfter(harness.workspaceId, 0, 10);
  expect(JSON.parse(request!.body)).toEqual({
    id: event!.id,
    object: 'event',
    created_at: event!.created_at,
    type: 'batch.in_progress',
    data: { id: harness.subjects[0]!.batchId },
  });
  expect(request!.headers).toMatchObject({
    'webhook-id': event!.id,
    authorization: 'Bearer s3cret',
    'content-type': 'application/json',
  });
  for (const verify of Object.values(verifiers)) await verify(request!, secret);
  await eventually(
    'the recorded attempt',
    async () => (await harness.listDeliveries(id))[0]!.status === 'succeeded',
  );
  const [listed] = await harness.deliveryLog.list(harness.workspaceId, id, { limit: 10, order: 'desc' });
  const { attempts } = await harness.deliveryLog.get(harness.workspaceId, id, listed!.id);
  expect(attempts).toMatchObject([
    { number: 1, status: 200, responseBody: 'status 200', errorCode: null, nextAttemptAt: null },
  ]);
  expect(attempts[0]!.requestHeaders).toMatchObject({ authorization: '•••', 'webhook-id': event!.id });
  const [stored] = await harness.database.rows<{ text: string }>(
    `select (select json_agg(e)::text from webhook_endpoints e) || (select json_agg(a)::text from delivery_attempts a) as text`,
  );
  for (const plaintext of ['s3cret', secret, secret.slice(6)]) expect(stored!.text).not.toContain(plaintext);
});

test.each(Object.keys(verifiers))(
  '%s verifies with the old and the new secret during a rotation',
  async (name) => {
    const { id, secret: old } = await harness.createEndpoint(receiver.url);
    const fresh = createSigningSecret();
    const sealed = { secretSealed: sealSecret(sealer, id, fresh), secretHint: buildSecretHint(fresh) };
    await harness.endpoints.rotateSecret(harness.workspaceId, id, sealed, 86_400);
    harness.startRelay();
    harness.startSender();
    await harness.commitEvent();
    await eventually('the request', () => receiver.requests.length === 1);
    const verify = verifiers[name]!;
    for (const secret of [old, fresh]) await verify(receiver.requests[0]!, secret);
    await expect((async () => verify(receiver.requests[0]!, createSigningSecret()))()).rejects.toThrow();

    await harness.database.rows('update webhook_endpoints set old_secret_until = now()');
    await harness.commitEvent();
    await eventually('the next request', () => receiver.requests.length === 2);
    await verify(receiver.requests[1]!, fresh);
    await expect((async () => verify(receiver.requests[1]!, old))()).rejects.toThrow();
  },
);

test('an endpoint receives the events that match its types, wildcards, metadata, subject and workspace only', async () => {
  const other = await harness.createOtherWorkspace();
  const to = async (path: string, over: Parameters<WebhookHarness['createEndpoint']>[1]) =>
    (await harness.createEndpoint(`${receiver.url}/${path}`, over)).id;
  await to('all', { eventTypes: ['*'] });
  await to('batches', { eventTypes: ['batch.*'] });
  await to('exact', { eventTypes: ['batch.completed', 'batch.in_progress'] });
  await to('another', { eventTypes: ['batch.completed', 'batch.in-progress', 'task.*'] });
  await to('filtered', { metadataFilter: { team: 'blue' } });
  await to('foreign', { workspaceId: other.workspaceId });
  await to('bound', { subject: harness.subjects[1]!.batchId });
  const off = await to('off', {});
  await harness.endpoints.update(harness.workspaceId, off, {}, true);
  await harness.database.rows(`update batches set metadata = '{"team":"blue","x":"1"}' where id = $1`, [
    harness.subjects[1]!.batchId,
  ]);
  harness.startRelay();
  harness.startSender();
  await harness.commitEvent(0);
  await harness.commitEvent(1);
  const expected = ['all', 'all', 'batches', 'batches', 'bound', 'exact', 'exact', 'filtered'];
  await eventually('the requests', () => receiver.requests.length >= expected.length);
  await harness.commitEvent(4); // of the other workspace
  await eventually('the request of the other workspace', () => receiver.requests.length > expected.length);
  const paths = receiver.requests.map(({ path }) => path.split('/').at(-1)!);
  expect(paths.sort()).toEqual([...expected, 'foreign'].sort());
});

test('an endpoint gets each event once, with any number of senders and relays', async () => {
  const { id } = await harness.createEndpoint(receiver.url);
  for (let n = 0; n < 3; n++) harness.startSender();
  const first = harness.startRelay();
  for (let n = 0; n < 20; n++) await harness.commitEvent(n % 4);
  harness.startRelay();
  await first.stop();
  for (let n = 0; n < 20; n++) await harness.commitEvent(n % 4);
  await eventually('all succeed', async () => {
    const deliveries = await harness.listDeliveries(id);
    return deliveries.length === 40 && deliveries.every(({ status }) => status === 'succeeded');
  });
  expect(new Set(receiver.listEventIds()).size).toBe(40);
  expect(receiver.requests).toHaveLength(40);
});

test('events that were committed while no relay ran are delivered when one starts', async () => {
  await harness.createEndpoint(receiver.url);
  harness.startSender();
  for (let n = 0; n < 5; n++) await harness.commitEvent();
  expect(await harness.feed.getPublishLagMs()).toBeGreaterThan(0);
  harness.startRelay();
  await eventually('the requests', () => new Set(receiver.listEventIds()).size === 5);
});

test('the sender finds deliveries of a relay that crashed before it published its message', async () => {
  await harness.createEndpoint(receiver.url);
  await harness.commitEvent();
  const lease = await harness.database.rows<{ epoch: number }>(
    `insert into leases values ('relay', 'dead', 1, now() + interval '1 minute') returning epoch`,
  );
  await harness.feed.publish({ name: 'relay', holder: 'dead', epoch: lease[0]!.epoch }, 10);
  harness.startSender();
  await eventually('the request', () => receiver.requests.length === 1);
});

test('a delivery of a sender that crashed is sent by another one after the lease ends, with the same id', async () => {
  const { id } = await harness.createEndpoint(receiver.url);
  harness.startRelay();
  await harness.commitEvent();
  await eventually('the delivery is created', async () => (await harness.listDeliveries(id)).length === 1);
  await harness.database.rows(
    `update deliveries set leased_by = 'dead', leased_until = now() + interval '400 ms'`,
  );
  harness.startSender();
  await eventually('the request', () => receiver.requests.length === 1);
  expect((await harness.listDeliveries(id))[0]!.eventId).toBe(receiver.listEventIds()[0]);
});

test('a rate limit spreads the requests of a burst', async () => {
  const { id } = await harness.createEndpoint(receiver.url, { rateLimit: 5 });
  harness.startRelay();
  for (let n = 0; n < 12; n++) await harness.commitEvent();
  await eventually(
    'the deliveries are created',
    async () => (await harness.listDeliveries(id)).length === 12,
  );
  harness.startSender();
  harness.startSender();
  await eventually('all requests', () => receiver.requests.length === 12);
  const [begin, end] = [receiver.requests[0]!.at, receiver.requests.at(-1)!.at];
  // 5 at once, then 5 a second: the other 7 take at least 1.4 s. The limit allows for the clocks of two machines.
  expect(end - begin).toBeGreaterThan(1_000);
});

describe('an endpoint with ordered deliveries', () => {
  test.each(['subject', 'feed'] as const)(
    'ordered by %s: a failed delivery blocks the later ones',
    async (ordered) => {
      receiver.respondWith((response, _, nth) => respondWithStatus(nth === 1 ? 500 : 200)(response, _, nth));
      const { id } = await harness.createEndpoint(receiver.url, { ordered });
      harness.startRelay();
      for (const subject of [0, 0, 1, 0]) await harness.commitEvent(subject);
      await eventually(
        'the deliveries are created',
        async () => (await harness.listDeliveries(id)).length === 4,
      );
      harness.startSender();
      const states = async () => (await harness.listDeliveries(id)).map(({ status }) => status);
      const third = ordered === 'subject' ? 'succeeded' : 'pending';
      await eventually('the first attempt fails', async () => {
        const [first] = await harness.listDeliveries(id);
        return first!.attemptCount === 1 && (await states())[2] === third;
      });
      expect(await states()).toEqual(['pending', 'pending', third, 'pending']);
      await harness.database.rows(
        'update deliveries set next_attempt_at = now() where attempt_count = 1 and status = $1',
        ['pending'],
      );
      await eventually('all requests', async () => (await states()).every((state) => state === 'succeeded'));
      const positions = (await harness.listDeliveries(id)).map(({ eventId }) => eventId);
      const [a, b, c, d] = positions;
      const arrived = receiver.listEventIds();
      if (ordered === 'feed') expect(arrived).toEqual([a, a, b, c, d]);
      else expect(arrived.filter((one) => one !== c)).toEqual([a, a, b, d]);
    },
  );
});
