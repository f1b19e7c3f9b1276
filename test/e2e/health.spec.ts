/** Health endpoints, metrics, and the ids in log lines. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { toJsonl, buildLine, runBatch } from './support/batch-lines.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform?.stop());

const get = (path: string) => fetch(platform.url + path);
const ready = async () => {
  const answer = await get('/health/ready');
  const body = (await answer.json()) as { status: string; checks: Record<string, { status: string }> };
  const states = Object.entries(body.checks).map(([name, { status }]) => [name, status]);
  return {
    status: answer.status,
    is: body.status,
    checks: Object.fromEntries(states) as Record<string, string>,
  };
};

test('live and ready, without an API key', async () => {
  const live = await get('/health/live');
  expect([live.status, await live.json()]).toEqual([200, { status: 'ok' }]);
  expect(await ready()).toEqual({
    status: 200,
    is: 'ok',
    checks: { postgres: 'ok', queue: 'ok', objects: 'ok', workers: 'ok' },
  });
});

test('the API is not ready while object storage cannot be written', async () => {
  const [present, moved] = ['.tmp', '.away'].map((name) => join(platform.home, 'objects', name)) as [
    string,
    string,
  ];
  await rename(present, moved);
  try {
    await waitUntil(async () => (await ready()).checks['objects'] === 'failing', {
      what: 'the failing check',
    });
    expect(await ready()).toMatchObject({
      status: 503,
      is: 'failing',
      checks: { postgres: 'ok', objects: 'failing' },
    });
    expect((await get('/health/live')).status).toBe(200);
  } finally {
    await rename(moved, present);
  }
  await waitUntil(async () => (await ready()).status === 200, { what: 'object storage to work again' });
});

test('metrics count requests by route, never by id', async () => {
  const batch = await runBatch(platform.client, toJsonl([buildLine('a')]));
  const answer = await get('/metrics');
  expect(answer.headers.get('content-type')).toContain('text/plain');
  const text = await answer.text();
  expect(text).toMatch(/millrace_http_request_seconds_count\{[^}]*route="\/v1\/batches\/:id"[^}]*\} \d+/);
  expect(text).not.toContain(batch.id);
});

test('log lines have the ids of requests and batches, and no API keys or contents', async () => {
  const batch = await runBatch(
    platform.client,
    toJsonl([buildLine('a-very-private-id', { input: 'a very private text' })]),
  );
  const { response } = await platform.client.batches.retrieve(batch.id).withResponse();
  const logged = () =>
    platform
      .output()
      .split('\n')
      .filter((each) => each.startsWith('{'))
      .map((each) => JSON.parse(each) as Record<string, unknown>);
  const requestId = response.headers.get('x-request-id');
  await waitUntil(() => logged().some((entry) => entry['requestId'] === requestId), {
    what: 'the log line of the request',
  });
  expect(logged().find((entry) => entry['requestId'] === requestId)).toMatchObject({
    method: 'GET',
    status: '200',
  });
  expect(logged().some((entry) => entry['service'] === 'worker' && entry['batchId'] === batch.id)).toBe(true);
  for (const secret of [platform.apiKey, 'a-very-private-id', 'a very private text']) {
    expect(platform.output()).not.toContain(secret);
  }
});

test('without a worker the API is ready, and reports that no worker runs', async () => {
  for (const { child } of platform.workers) child.kill('SIGTERM');
  await waitUntil(async () => (await ready()).checks['workers'] === 'none', {
    what: 'the worker to exit',
  });
  expect(await ready()).toMatchObject({ status: 200, is: 'ok' });
});
