/**
 * A provider that is down, limits requests or is slow: work that waits for it holds no slot that another provider's work
 * needs, and a client that waits gets the provider's error within its patience.
 */
import type { TaskObject } from '@millrace/contracts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { ScriptedUpstream } from '../support/upstream/server.ts';
import { sendRaw } from './support/raw-http.ts';

let upstream: ScriptedUpstream;
let platform: Platform;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  const env = {
    OPENAI_COMPATIBLE: `first=${upstream.url}/v1,second=${upstream.url}/v1`,
    PROVIDER_LIMITS: 'second=2',
    WORKER_DIRECT_SLOTS: '8',
  };
  platform = await startPlatform({ env });
});
afterEach(() => upstream.reset());
afterAll(async () => {
  await platform?.stop();
  await upstream?.close();
});

const json = { 'content-type': 'application/json' };
async function post(path: string, body: object, headers: Record<string, string> = {}) {
  const response = await sendRaw(platform, {
    ...{ path, method: 'POST', body: JSON.stringify(body), headers: { ...json, ...headers } },
  });
  return { ...response, json: JSON.parse(response.text) as Record<string, unknown> };
}
const readTask = async (id: string) =>
  JSON.parse((await sendRaw(platform, { path: `/v1/tasks/${id}` })).text) as TaskObject;
const chat = (model: string, content = 'hello') => ({ model, messages: [{ role: 'user', content }] });
const submitChat = async (model: string) => {
  const { model: _, ...input } = chat(model);
  return (await post('/v1/tasks', { kind: 'chat-completion', model, input })).json as unknown as TaskObject;
};
const cancel = (id: string) => post(`/v1/tasks/${id}/cancel`, {});

test('40 tasks for a provider that is down leave the others as fast as alone, and stay queued', async () => {
  upstream.script({ bodyContains: '"model":"down"', status: 503 });
  const ids: string[] = [];
  for (let nth = 0; nth < 40; nth++) ids.push((await submitChat('first/down')).id);
  await waitUntil(() => upstream.calls.length >= 5, { what: 'the outage to be noticed', withinMs: 60_000 });
  const startedAt = performance.now();
  expect((await post('/v1/chat/completions', chat('second/healthy'))).status).toBe(200);
  expect((await post('/v1/chat/completions', chat('sandbox/chat-completion'))).status).toBe(200);
  // Not a measurement: with the slots taken, both would wait until the outage is over.
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  // Another model of the same provider is not affected either.
  expect((await post('/v1/chat/completions', chat('first/healthy'))).status).toBe(200);
  expect((await readTask(ids[0]!)).status).not.toBe('failed');
  upstream.reset();
  for (const id of ids) await cancel(id);
});

test('a client that waits gets the status of a provider that is down, and Retry-After, within seconds', async () => {
  upstream.script({
    bodyContains: '"model":"gone"',
    status: 503,
    json: { error: { message: 'at capacity' } },
  });
  for (let nth = 0; nth < 8; nth++) {
    const startedAt = performance.now();
    const answer = await post('/v1/chat/completions', chat('first/gone'));
    expect(answer.status).toBe(503);
    expect(answer.json['error']).toMatchObject({ type: 'server_error', message: /at capacity/ });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }
}, 200_000);

test('429 stays a rate limit in direct answers, in tasks and in batch lines', async () => {
  const direct = await post('/v1/chat/completions', chat('sandbox/chat-completion:429'));
  expect(direct.status).toBe(429);
  expect(direct.json['error']).toMatchObject({ type: 'rate_limit_error' });
  const body = { kind: 'summarization', model: 'sandbox/summarization:429', input: { text: 'a text' } };
  for (let nth = 0; nth < 2; nth++) {
    const task = await post('/v1/tasks', body, { prefer: 'wait=60' });
    expect(task.json).toMatchObject({ status: 'failed', error: { status: 429, type: 'rate_limit_error' } });
  }
}, 200_000);

test('a task is running only while it is called, and has a position until then', async () => {
  upstream.script({ bodyContains: '"model":"slow"', hang: true });
  const ids: string[] = [];
  for (let nth = 0; nth < 6; nth++) ids.push((await submitChat('second/slow')).id);
  const readStatuses = () => Promise.all(ids.map(async (id) => (await readTask(id)).status));
  await waitUntil(async () => (await readStatuses()).filter((status) => status === 'running').length === 2, {
    what: 'two tasks to run',
    withinMs: 60_000,
  });
  expect(upstream.findCalls('/chat/completions')).toHaveLength(2);
  expect(await readStatuses()).toEqual(['running', 'running', 'queued', 'queued', 'queued', 'queued']);
  expect(await readTask(ids[3]!)).toMatchObject({ queue_position: 1, progress: null });
  // A task that is cancelled while it waits is never called.
  await cancel(ids[2]!);
  upstream.reset();
  for (const id of ids.slice(0, 2)) await cancel(id);
  for (const id of ids.slice(3)) {
    await waitUntil(async () => (await readTask(id)).status === 'succeeded', {
      what: 'the task to succeed',
      withinMs: 60_000,
    });
  }
  expect((await readTask(ids[2]!)).status).toBe('canceled');
});

test('a batch whose provider is down for a while waits, and no line fails', async () => {
  upstream.script({ bodyContains: '"model":"batch"', status: 503, times: 6 });
  const requests = Array.from({ length: 20 }, (_, at) => ({
    ...{ custom_id: `row-${at}`, method: 'POST', url: '/v1/chat/completions' },
    body: chat('first/batch', `row ${at}`),
  }));
  const batch = (
    await post('/v1/batches', { endpoint: '/v1/chat/completions', requests, completion_window: '24h' })
  ).json as { id: string };
  const read = async () => JSON.parse((await sendRaw(platform, { path: `/v1/batches/${batch.id}` })).text);
  await waitUntil(async () => (await read()).status === 'completed', {
    what: 'the batch to complete',
    withinMs: 120_000,
  });
  expect((await read()).request_counts).toEqual({ total: 20, completed: 20, failed: 0 });
}, 200_000);
