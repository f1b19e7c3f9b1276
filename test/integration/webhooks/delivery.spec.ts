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

let office: WebhookHarness;
let receiver: WebhookReceiver;
beforeEach(async () => {
  [office, receiver] = await Promise.all([openWebhookHarness(), startWebhookReceiver()]);
});
afterEach(async () => {
  await office.close();
  await receiver.close();
});

const verifiers: Record<string, (one: ReceivedRequest, secret: string) => unknown> = {
  standardwebhooks: ({ body, headers }, secret) =>
    new StandardWebhook(secret).verify(body, headers as Record<string, string>),
  svix: ({ body, headers }, secret) =>
    new SvixWebhook(secret).verify(body, headers as Record<string, string>),
  openai: ({ body, headers }, secret) =>
    new OpenAI({ apiKey: 'none', webhookSecret: secret }).webhooks.unwrap(body, headers),
};

test('a fact arrives, signed, and its delivery is written down', async () => {
  const { id, secret } = await office.endpoint(receiver.url, { headers: { Authorization: 'Bearer s3cret' } });
  office.startRelay();
  office.startSender();
  await office.fact();
  await eventually('it arrives', () => receiver.requests.length === 1);
  const [one] = receiver.requests;
  const [event] = await office.feed.listAfter(office.workspaceId, 0, 10);
  expect(JSON.parse(one!.body)).toEqual({
    id: event!.id,
    object: 'event',
    created_at: event!.created_at,
    type: 'batch.in_progress',
    data: { id: office.subjects[0]!.batchId },
  });
  expect(one!.headers).toMatchObject({
    'webhook-id': event!.id,
    authorization: 'Bearer s3cret',
    'content-type': 'application/json',
  });
  for (const verify of Object.values(verifiers)) await verify(one!, secret);
  await eventually(
    'it is written down',
    async () => (await office.deliveriesOf(id))[0]!.status === 'succeeded',
  );
  const [listed] = await office.deliveryLog.list(office.workspaceId, id, { limit: 10, order: 'desc' });
  const { attempts } = await office.deliveryLog.get(office.workspaceId, id, listed!.id);
  expect(attempts).toMatchObject([
    { number: 1, status: 200, responseBody: 'status 200', errorCode: null, nextAttemptAt: null },
  ]);
  expect(attempts[0]!.requestHeaders).toMatchObject({ authorization: '•••', 'webhook-id': event!.id });
  const [kept] = await office.database.rows<{ text: string }>(
    `select (select json_agg(e)::text from webhook_endpoints e) || (select json_agg(a)::text from delivery_attempts a) as text`,
  );
  for (const clear of ['s3cret', secret, secret.slice(6)]) expect(kept!.text).not.toContain(clear);
});

test.each(Object.keys(verifiers))(
  '%s verifies with the old and the new secret while one is rotated',
  async (name) => {
    const { id, secret: old } = await office.endpoint(receiver.url);
    const fresh = createSigningSecret();
    const sealed = { secretSealed: sealSecret(sealer, id, fresh), secretHint: buildSecretHint(fresh) };
    await office.endpoints.rotateSecret(office.workspaceId, id, sealed, 86_400);
    office.startRelay();
    office.startSender();
    await office.fact();
    await eventually('it arrives', () => receiver.requests.length === 1);
    const verify = verifiers[name]!;
    for (const secret of [old, fresh]) await verify(receiver.requests[0]!, secret);
    await expect((async () => verify(receiver.requests[0]!, createSigningSecret()))()).rejects.toThrow();

    await office.database.rows('update webhook_endpoints set old_secret_until = now()');
    await office.fact();
    await eventually('the next arrives', () => receiver.requests.length === 2);
    await verify(receiver.requests[1]!, fresh);
    await expect((async () => verify(receiver.requests[1]!, old))()).rejects.toThrow();
  },
);

test('only what an endpoint has subscribed to, by type, by wildcard, by metadata, and by workspace', async () => {
  const other = await office.otherWorkspace();
  const to = async (path: string, over: Parameters<WebhookHarness['endpoint']>[1]) =>
    (await office.endpoint(`${receiver.url}/${path}`, over)).id;
  await to('all', { eventTypes: ['*'] });
  await to('batches', { eventTypes: ['batch.*'] });
  await to('exact', { eventTypes: ['batch.completed', 'batch.in_progress'] });
  await to('another', { eventTypes: ['batch.completed', 'batch.in-progress', 'task.*'] });
  await to('filtered', { metadataFilter: { team: 'blue' } });
  await to('foreign', { workspaceId: other.workspaceId });
  await to('bound', { subject: office.subjects[1]!.batchId });
  const off = await to('off', {});
  await office.endpoints.update(office.workspaceId, off, {}, true);
  await office.database.rows(`update batches set metadata = '{"team":"blue","x":"1"}' where id = $1`, [
    office.subjects[1]!.batchId,
  ]);
  office.startRelay();
  office.startSender();
  await office.fact(0);
  await office.fact(1);
  const expected = ['all', 'all', 'batches', 'batches', 'bound', 'exact', 'exact', 'filtered'];
  await eventually('they arrive', () => receiver.requests.length >= expected.length);
  await office.fact(4); // of the other workspace
  await eventually('the other’s arrives', () => receiver.requests.length > expected.length);
  const paths = receiver.requests.map(({ path }) => path.split('/').at(-1)!);
  expect(paths.sort()).toEqual([...expected, 'foreign'].sort());
});

test('one delivery of a fact to an endpoint, whatever senders and relays there are', async () => {
  const { id } = await office.endpoint(receiver.url);
  for (let n = 0; n < 3; n++) office.startSender();
  const first = office.startRelay();
  for (let n = 0; n < 20; n++) await office.fact(n % 4);
  office.startRelay();
  await first.stop();
  for (let n = 0; n < 20; n++) await office.fact(n % 4);
  await eventually('all succeed', async () => {
    const all = await office.deliveriesOf(id);
    return all.length === 40 && all.every(({ status }) => status === 'succeeded');
  });
  expect(new Set(receiver.listEventIds()).size).toBe(40);
  expect(receiver.requests).toHaveLength(40);
});

test('facts that were committed while no relay ran are delivered once one does', async () => {
  await office.endpoint(receiver.url);
  office.startSender();
  for (let n = 0; n < 5; n++) await office.fact();
  expect(await office.feed.getPublishLagMs()).toBeGreaterThan(0);
  office.startRelay();
  await eventually('they arrive', () => new Set(receiver.listEventIds()).size === 5);
});

test('a relay that dies between stamping and telling: the sender finds the deliveries by itself', async () => {
  await office.endpoint(receiver.url);
  await office.fact();
  const lease = await office.database.rows<{ epoch: number }>(
    `insert into leases values ('relay', 'dead', 1, now() + interval '1 minute') returning epoch`,
  );
  await office.feed.publish({ name: 'relay', holder: 'dead', epoch: lease[0]!.epoch }, 10);
  office.startSender();
  await eventually('it arrives', () => receiver.requests.length === 1);
});

test('a sender that dies with a delivery in hand: another takes it once the lease is over, under the same id', async () => {
  const { id } = await office.endpoint(receiver.url);
  office.startRelay();
  await office.fact();
  await eventually('it is made', async () => (await office.deliveriesOf(id)).length === 1);
  await office.database.rows(
    `update deliveries set leased_by = 'dead', leased_until = now() + interval '400 ms'`,
  );
  office.startSender();
  await eventually('it arrives', () => receiver.requests.length === 1);
  expect((await office.deliveriesOf(id))[0]!.eventId).toBe(receiver.listEventIds()[0]);
});

test('a rate limit spreads what would come at once', async () => {
  const { id } = await office.endpoint(receiver.url, { rateLimit: 5 });
  office.startRelay();
  for (let n = 0; n < 12; n++) await office.fact();
  await eventually('they are made', async () => (await office.deliveriesOf(id)).length === 12);
  office.startSender();
  office.startSender();
  await eventually('all arrive', () => receiver.requests.length === 12);
  const [begin, end] = [receiver.requests[0]!.at, receiver.requests.at(-1)!.at];
  // 5 at once, then 5 a second: 7 more take 1.4 s at least; the clocks of two machines would add their difference.
  expect(end - begin).toBeGreaterThan(1_000);
});

describe('ordered', () => {
  test.each(['subject', 'feed'] as const)(
    'by %s: what fails holds back what comes after it',
    async (ordered) => {
      receiver.respondWith((response, _, nth) => respondWithStatus(nth === 1 ? 500 : 200)(response, _, nth));
      const { id } = await office.endpoint(receiver.url, { ordered });
      office.startRelay();
      for (const subject of [0, 0, 1, 0]) await office.fact(subject);
      await eventually('they are made', async () => (await office.deliveriesOf(id)).length === 4);
      office.startSender();
      const states = async () => (await office.deliveriesOf(id)).map(({ status }) => status);
      const free = ordered === 'subject' ? 'succeeded' : 'pending';
      await eventually('the first failed, and others did not overtake it', async () => {
        const [first] = await office.deliveriesOf(id);
        return first!.attemptCount === 1 && (await states())[2] === free;
      });
      expect(await states()).toEqual(['pending', 'pending', free, 'pending']);
      await office.database.rows(
        'update deliveries set next_attempt_at = now() where attempt_count = 1 and status = $1',
        ['pending'],
      );
      await eventually('all arrive', async () => (await states()).every((state) => state === 'succeeded'));
      const positions = (await office.deliveriesOf(id)).map(({ eventId }) => eventId);
      const [a, b, c, d] = positions;
      const arrived = receiver.listEventIds();
      if (ordered === 'feed') expect(arrived).toEqual([a, a, b, c, d]);
      else expect(arrived.filter((one) => one !== c)).toEqual([a, a, b, d]);
    },
  );
});
