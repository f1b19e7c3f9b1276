/** Webhooks through the stock `openai` client and over HTTP, sent to a receiver of the test. */
import OpenAI from 'openai';
import type {
  BatchObject,
  DeliveryObject,
  DeliveryWithAttempts,
  Page,
  TaskObject,
  WebhookEndpointObject,
} from '@millrace/contracts';
import {
  startWebhookReceiver,
  respondWithStatus,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { connectSql } from '../support/sql.ts';
import { createWorkspace } from '../support/workspaces.ts';
import { ScriptedUpstream } from '../support/upstream/server.ts';

let platform: Platform;
let client: OpenAI;
let receiver: WebhookReceiver;
let upstream: ScriptedUpstream;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  [platform, receiver] = await Promise.all([
    startPlatform({
      env: {
        MILLRACE_WEBHOOK_ALLOW_HOSTS: '127.0.0.1',
        OPENAI_COMPATIBLE: `scripted=${upstream.url}/v1`,
      },
    }),
    startWebhookReceiver(),
  ]);
  client = platform.client;
});
afterAll(async () => {
  await platform.stop();
  await receiver.close();
  await upstream.close();
});
beforeEach(() => {
  receiver.requests.length = 0;
  receiver.respondWith(respondWithStatus(200));
});
afterEach(async () => {
  for await (const { id } of client.webhooks.list()) await client.webhooks.delete(id);
});

const line = (input: string) => ({ custom_id: input, body: { model: 'sandbox/embeddings', input } });
const createBatch = (over: object = {}) =>
  client.post<BatchObject>('/batches', {
    body: {
      endpoint: '/v1/embeddings',
      completion_window: '24h',
      requests: [line('one'), line('two')],
      ...over,
    },
  });
const waitForEvent = (type: string, times = 1) =>
  waitUntil(() => receiver.listEventTypes().filter((received) => received === type).length >= times, {
    what: `${type} to arrive`,
  });
const retrieve = (id: string) => client.get<BatchObject>(`/batches/${id}`);

test('the openai client creates, lists, gets, updates, rotates, tests and deletes webhooks', async () => {
  const made = await client.webhooks.create({
    name: 'orders',
    url: receiver.url,
    event_types: ['batch.completed', 'batch.failed'],
  });
  expect(made).toMatchObject({
    object: 'webhook_endpoint',
    name: 'orders',
    url: receiver.url,
    event_types: ['batch.completed', 'batch.failed'],
  });
  expect(made.signing_secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const { signing_secret, ...shown } = made;
  expect(await client.webhooks.retrieve(made.id)).toEqual(shown);
  expect((await client.webhooks.list()).data).toEqual([shown]);
  expect((await client.webhooks.eventTypes.list()).data).toEqual(
    expect.arrayContaining(['batch.completed', 'batch.completed_with_errors', 'webhook_endpoint.disabled']),
  );
  const updated = await client.webhooks.update(made.id, { name: 'renamed' });
  expect(updated).toMatchObject({ name: 'renamed', event_types: made.event_types, url: made.url });

  const unwrap = (nth: number, secret: string) => {
    const { body, headers } = receiver.requests.at(nth)!;
    return client.webhooks.unwrap(body, headers, secret);
  };
  const tested = await client.webhooks.test(made.id, { event_type: 'batch.completed' });
  expect(tested).toEqual({
    object: 'webhook_endpoint.test',
    webhook_endpoint_id: made.id,
    event_type: 'batch.completed',
    status_code: 200,
    success: true,
  });
  expect(await unwrap(-1, signing_secret)).toMatchObject({ object: 'event', type: 'batch.completed' });

  const rotated = await client.webhooks.rotateSecret(made.id, { keep_old_secret_active_for_24_hours: true });
  expect(rotated.signing_secret).not.toBe(signing_secret);
  receiver.respondWith(respondWithStatus(503));
  expect(await client.webhooks.test(made.id, { event_type: 'batch.failed' })).toMatchObject({
    status_code: 503,
  });
  for (const secret of [signing_secret, rotated.signing_secret]) await unwrap(-1, secret);
  const again = await client.webhooks.rotateSecret(made.id);
  await client.webhooks.test(made.id, { event_type: 'batch.failed' });
  await unwrap(-1, again.signing_secret);
  for (const secret of [signing_secret, rotated.signing_secret]) {
    await expect(unwrap(-1, secret)).rejects.toThrow(OpenAI.InvalidWebhookSignatureError);
  }

  expect(await client.webhooks.delete(made.id)).toEqual({
    id: made.id,
    object: 'webhook_endpoint.deleted',
    deleted: true,
  });
  await expect(client.webhooks.retrieve(made.id)).rejects.toMatchObject({
    status: 404,
    code: 'webhook_endpoint_not_found',
  });
});

test('endpoints are listed in pages, newest first', async () => {
  const made = [];
  for (const name of ['a', 'b', 'c']) {
    made.push(
      (await client.webhooks.create({ name, url: receiver.url, event_types: ['batch.completed'] })).id,
    );
  }
  const listed = [];
  for await (const { id } of client.webhooks.list({ limit: 2 })) listed.push(id);
  expect(listed).toEqual(made.reverse());
});

test.each([
  [{ url: 'http://169.254.169.254/latest' }, 'url_scheme_refused'],
  [{ url: 'https://169.254.169.254/latest' }, 'url_address_refused'],
  [{ url: 'https://[::ffff:10.0.0.1]/' }, 'url_address_refused'],
  [{ url: 'https://localhost/' }, 'url_host_refused'],
  [{ url: 'http://example.com/' }, 'url_scheme_refused'],
  [{ url: 'https://example.com:8443/' }, 'url_port_refused'],
  [{ url: 'not a url' }, 'url_invalid'],
  [{ name: '' }, 'invalid_request'],
  [{ event_types: [] }, 'invalid_request'],
  [{ event_types: ['batch.finished'] }, 'invalid_request'],
  [{ event_types: ['b*'] }, 'invalid_request'],
  [{ headers: { 'Webhook-Id': 'x' } }, 'invalid_request'],
  [{ headers: { 'X-A': 'a\r\nX-B: b' } }, 'invalid_request'],
  [{ rate_limit: 0 }, 'invalid_request'],
])('refuses %j', async (over, code) => {
  const body = { name: 'wrong', url: receiver.url, event_types: ['*'], ...over };
  await expect(client.post('/webhook_endpoints', { body })).rejects.toMatchObject({ status: 400, code });
  await expect(
    createBatch({ webhook: { url: 'https://10.0.0.1/', events: ['batch.*'] } }),
  ).rejects.toMatchObject({
    status: 400,
    code: 'url_address_refused',
  });
});

test('an ordered endpoint receives the events of a batch in order, and completed_with_errors for one with errors', async () => {
  const made = await client.post<WebhookEndpointObject>('/webhook_endpoints', {
    body: {
      name: 'all',
      url: receiver.url,
      event_types: ['batch.*'],
      ordered: 'subject',
      headers: { 'X-Team': 'blue' },
      metadata_filter: { order: '17' },
    },
  });
  expect(made.millrace).toMatchObject({
    ordered: 'subject',
    headers: ['X-Team'],
    metadata_filter: { order: '17' },
  });
  const bad = { custom_id: 'bad', body: { model: 'sandbox/embeddings:400', input: 'no' } };
  const [batch] = await Promise.all([
    createBatch({ metadata: { order: '17' }, requests: [bad, { ...bad, custom_id: 'worse' }] }),
    createBatch({ metadata: { order: '18' } }),
  ]);
  await waitForEvent('batch.completed');
  const bodies = receiver.requests.map(
    ({ body }) => JSON.parse(body) as { type: string; data: { id: string } },
  );
  expect(bodies.every(({ data }) => data.id === batch.id)).toBe(true);
  expect(receiver.listEventTypes().filter((type) => type !== 'batch.progress')).toEqual([
    'batch.in_progress',
    'batch.completed_with_errors',
    'batch.completed',
  ]);
  expect(new Set(receiver.requests.map(({ headers }) => headers['x-team']))).toEqual(new Set(['blue']));
  expect((await retrieve(batch.id)).status).toBe('completed');
});

test('a batch has its own webhook: it is returned, signed, and kept by a retry', async () => {
  const bad = { custom_id: 'bad', body: { model: 'sandbox/embeddings:400', input: 'no' } };
  const made = await createBatch({
    requests: [bad],
    webhook: { url: receiver.url, events: ['batch.completed'] },
  });
  const { webhook } = made.millrace;
  expect(webhook).toMatchObject({ url: receiver.url, events: ['batch.completed'], status: 'enabled' });
  await waitForEvent('batch.completed');
  const { body, headers } = receiver.requests[0]!;
  await client.webhooks.unwrap(body, headers, webhook!.signing_secret);
  expect((await retrieve(made.id)).millrace.webhook).toEqual({ ...webhook, signing_secret: undefined });
  expect((await client.batches.list()).data.find(({ id }) => id === made.id)).toMatchObject({
    millrace: { webhook: { id: webhook!.id } },
  });
  expect((await client.webhooks.list()).data).toEqual([]);
  expect(await client.webhooks.retrieve(webhook!.id)).toMatchObject({ millrace: { subject: made.id } });
  expect(receiver.listEventTypes()).toEqual(['batch.completed']);

  const retry = await client.post<BatchObject>(`/batches/${made.id}/retry`);
  expect(retry.millrace.webhook).toMatchObject({
    url: receiver.url,
    signing_secret_hint: webhook!.signing_secret_hint,
  });
  await waitForEvent('batch.completed', 2);
  const second = receiver.requests[1]!;
  await client.webhooks.unwrap(second.body, second.headers, webhook!.signing_secret);

  const none = await client.post<BatchObject>(`/batches/${made.id}/retry`, { body: { webhook: null } });
  expect(none.millrace.webhook).toBeNull();
  const secret = `whsec_${Buffer.alloc(24, 'k').toString('base64')}`;
  const own = await createBatch({ webhook: { url: receiver.url, secret } });
  expect(own.millrace.webhook!.signing_secret).toBeUndefined();
  await waitForEvent('batch.completed', 3);
  const third = receiver.requests[2]!;
  await client.webhooks.unwrap(third.body, third.headers, secret);
});

test('the webhook of a batch sends by default that the batch is paused, and how it ends', async () => {
  upstream.script({ status: 402 });
  const body = { model: 'scripted/model', input: 'one' };
  const made = await createBatch({ requests: [{ custom_id: 'one', body }], webhook: { url: receiver.url } });
  await waitForEvent('batch.paused');
  expect(JSON.parse(receiver.requests[0]!.body)).toMatchObject({
    type: 'batch.paused',
    data: { id: made.id, reason: 'insufficient_quota' },
  });
  await client.batches.cancel(made.id);
  await waitForEvent('batch.cancelled');
  expect(receiver.listEventTypes()).toEqual(['batch.paused', 'batch.cancelled']);
});

test('a task has its own webhook: it is returned, signed, receives progress, and is kept by a retry', async () => {
  const sandbox = (options: object) => ({ sandbox: JSON.stringify(options) });
  const task = (over: object) =>
    client.post<TaskObject>('/tasks', {
      body: {
        kind: 'text-to-video',
        model: 'sandbox/text-to-video',
        input: { prompt: 'A mill', seconds: '1' },
        ...over,
      },
    });
  await expect(task({ webhook: { url: 'https://10.0.0.1/' } })).rejects.toMatchObject({
    code: 'url_address_refused',
  });
  await expect(task({ webhook: { url: receiver.url, event: [] } })).rejects.toMatchObject({ status: 400 });
  const made = await task({
    metadata: sandbox({ delay_ms: 800 }),
    webhook: { url: receiver.url, events: ['task.*'] },
  });
  const { webhook } = made;
  expect(webhook).toMatchObject({ url: receiver.url, events: ['task.*'], status: 'enabled' });
  await waitForEvent('task.succeeded');
  await waitForEvent('task.progress');
  expect(new Set(receiver.listEventTypes())).toEqual(
    new Set(['task.queued', 'task.started', 'task.progress', 'task.succeeded']),
  );
  const { body, headers } = receiver.requests[0]!;
  await client.webhooks.unwrap(body, headers, webhook!.signing_secret);
  const { signing_secret: _, ...shown } = webhook!;
  expect((await client.get<TaskObject>(`/tasks/${made.id}`)).webhook).toEqual(shown);
  expect((await client.webhooks.list()).data).toEqual([]);
  const log = await client.get<Page<DeliveryObject>>(`/webhook_endpoints/${webhook!.id}/deliveries`);
  expect(log.data.map(({ subject }) => subject)).toEqual(log.data.map(() => made.id));

  receiver.requests.length = 0;
  const secret = `whsec_${Buffer.alloc(24, 'k').toString('base64')}`;
  const own = await task({ metadata: sandbox({ status: 400 }), webhook: { url: receiver.url, secret } });
  expect(own.webhook!.signing_secret).toBeUndefined();
  await waitForEvent('task.failed');
  const retry = await client.post<TaskObject>(`/tasks/${own.id}/retry`);
  expect(retry.webhook).toMatchObject({ url: receiver.url, events: own.webhook!.events });
  await waitForEvent('task.failed', 2);
  for (const request of receiver.requests)
    await client.webhooks.unwrap(request.body, request.headers, secret);
  const none = await client.post<TaskObject>(`/tasks/${own.id}/retry`, { body: { webhook: null } });
  expect(none.webhook).toBeNull();
});

test('failed deliveries are listed and redelivered: one, all since a time, or as a replay to a new endpoint', async () => {
  const since = Math.floor(Date.now() / 1_000) - 1;
  receiver.respondWith(respondWithStatus(500));
  const { id } = await client.webhooks.create({
    name: 'down',
    url: receiver.url,
    event_types: ['batch.completed'],
  });
  const batch = await createBatch();
  await waitForEvent('batch.completed');
  const path = `/webhook_endpoints/${id}/deliveries`;
  const listDeliveries = () => client.get<Page<DeliveryObject>>(path);
  const getNewest = async () => (await listDeliveries()).data[0]!;
  await waitUntil(async () => (await getNewest()).attempt_count === 1, {
    what: 'the failure to be recorded',
  });
  const failed = await getNewest();
  expect(failed).toMatchObject({ status: 'pending', event_type: 'batch.completed', subject: batch.id });
  expect(failed.next_attempt_at).toBeGreaterThanOrEqual(failed.created_at + 4);
  const log = await client.get<DeliveryWithAttempts>(`${path}/${failed.id}`);
  expect(log.attempts).toMatchObject([
    {
      number: 1,
      request: { url: receiver.url, body: receiver.requests[0]!.body },
      response: { status: 500, body: 'status 500', body_is_truncated: false },
      error: { code: 'status_not_2xx' },
    },
  ]);

  receiver.respondWith(respondWithStatus(200));
  await client.post(`${path}/${failed.id}/redeliver`);
  await waitUntil(async () => (await getNewest()).status === 'succeeded', { what: 'the redelivery' });
  expect(await getNewest()).toMatchObject({ attempt_count: 2 });

  receiver.respondWith(respondWithStatus(410));
  await client.post(`${path}/${failed.id}/redeliver`);
  await waitUntil(
    async () =>
      (await client.get<WebhookEndpointObject>(`/webhook_endpoints/${id}`)).millrace.status === 'disabled',
    {
      what: '410 to disable the endpoint',
    },
  );
  await expect(client.post(`${path}/${failed.id}/redeliver`)).rejects.toMatchObject({
    status: 409,
    code: 'webhook_endpoint_disabled',
  });
  receiver.respondWith(respondWithStatus(200));
  await client.post(`/webhook_endpoints/${id}`, { body: { disabled: false } });
  expect(await client.post(`/webhook_endpoints/${id}/redeliver_failed`, { body: { since } })).toMatchObject({
    count: 1,
  });
  await waitUntil(async () => (await getNewest()).status === 'succeeded', {
    what: 'the redelivery of the failed ones',
  });

  const fresh = await client.webhooks.create({
    name: 'fresh',
    url: `${receiver.url}/fresh`,
    event_types: ['batch.completed'],
  });
  const replayed = await client.post(`/webhook_endpoints/${fresh.id}/replay`, { body: { since } });
  expect(replayed).toMatchObject({ object: 'webhook_endpoint.replay', has_more: false, is_truncated: false });
  await waitUntil(() => receiver.requests.some(({ path: to }) => to.endsWith('/fresh')), {
    what: 'the replay',
  });
  const ids = receiver.requests.map(({ headers }) => headers['webhook-id']);
  expect(new Set(ids.filter((eventId) => eventId === failed.event_id)).size).toBe(1);
});

test('another workspace cannot read, change or replay an endpoint', async () => {
  const { id } = await client.webhooks.create({
    name: 'mine',
    url: receiver.url,
    event_types: ['batch.completed'],
  });
  const sql = await connectSql(platform.databaseUrl);
  const { apiKey } = await createWorkspace(sql);
  await sql.end();
  const other = new OpenAI({ apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
  const path = `/webhook_endpoints/${id}`;
  const delivery = `${path}/deliveries/del_${'0'.repeat(32)}`;
  const calls = [
    other.webhooks.retrieve(id),
    other.webhooks.update(id, { name: 'theirs' }),
    other.webhooks.rotateSecret(id),
    other.webhooks.test(id, { event_type: 'batch.completed' }),
    other.webhooks.delete(id),
    other.get(`${path}/deliveries`),
    other.get(delivery),
    other.post(`${delivery}/redeliver`),
    other.post(`${path}/redeliver_failed`, { body: { since: 0 } }),
    other.post(`${path}/replay`, { body: { since: 0 } }),
  ];
  for (const call of calls) await expect(call).rejects.toMatchObject({ status: 404 });
  expect((await other.webhooks.list()).data).toEqual([]);
  expect(receiver.requests).toEqual([]);
  expect(await client.webhooks.retrieve(id)).toMatchObject({ name: 'mine' });
});
