/** The call policy of tasks, through the whole platform: counts the calls that reach the scripted upstream. */
import type { Page, TaskAttempt, TaskObject } from '@millrace/contracts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { getField } from '../support/upstream/call.ts';
import { ScriptedUpstream } from '../support/upstream/server.ts';
import { sendRaw } from './support/raw-http.ts';

let upstream: ScriptedUpstream;
let platform: Platform;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  // One task at a time, so that the others wait.
  const env = { OPENAI_COMPATIBLE: `scripted=${upstream.url}/v1`, WORKER_DIRECT_SLOTS: '1' };
  platform = await startPlatform({ env });
});
afterEach(() => upstream.reset());
afterAll(async () => {
  await platform?.stop();
  await upstream?.close();
});

const get = async <T>(path: string): Promise<T> => JSON.parse((await sendRaw(platform, { path })).text) as T;
const task = (id: string) => get<TaskObject>(`/v1/tasks/${id}`);
const attempts = async (id: string) => (await get<Page<TaskAttempt>>(`/v1/tasks/${id}/attempts`)).data;

async function post(path: string, body: object, headers = {}): Promise<TaskObject> {
  const { text } = await sendRaw(platform, {
    path,
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return JSON.parse(text) as TaskObject;
}

const chat = (text: string, over: object = {}) => ({
  kind: 'chat-completion',
  model: 'scripted/first',
  input: { messages: [{ role: 'user', content: text }] },
  ...over,
});
const submit = (text: string, over: object = {}) => post('/v1/tasks', chat(text, over));
const answered = (text: string, over: object = {}) =>
  post('/v1/tasks', chat(text, over), { prefer: 'wait=30' });
const cancel = (id: string) => post(`/v1/tasks/${id}/cancel`, {});

const reaches = async (id: string, status: string): Promise<TaskObject> => {
  await waitUntil(async () => (await task(id)).status === status, {
    what: `the task to be ${status}`,
    withinMs: 60_000,
  });
  return task(id);
};

const modelsAsked = () => upstream.findCalls('/chat/completions').map((call) => getField(call, 'model'));
const textsAsked = () =>
  upstream
    .findCalls('/chat/completions')
    .map((call) => (getField(call, 'messages') as { content: string }[])[0]!.content);

/** Submits a task that occupies the only slot until it is cancelled. */
async function holder(): Promise<string> {
  upstream.script({ bodyContains: 'occupies the slot', hang: true });
  const { id } = await submit('occupies the slot');
  await waitUntil(() => upstream.calls.length > 0, { what: 'the slot to be occupied', withinMs: 60_000 });
  return id;
}

test('a fallback model is called only if the request names it, and the answer names the model that was called', async () => {
  upstream.script({ bodyContains: '"model":"first"', status: 404 });
  const alone = await answered('hello');
  expect(alone).toMatchObject({ status: 'failed', error: { code: 'provider_model_not_found' } });
  expect(modelsAsked()).toEqual(['first']);

  upstream.calls.length = 0;
  const named = await answered('hello', { fallback_models: ['scripted/second', 'scripted/third'] });
  expect(named).toMatchObject({
    status: 'succeeded',
    model: 'scripted/first',
    output: { model: 'scripted/second' },
  });
  expect(modelsAsked()).toEqual(['first', 'second']);
});

test('an invalid input is not retried with a fallback model', async () => {
  upstream.script({ status: 400 });
  const refused = await answered('hello', { fallback_models: ['scripted/second'] });
  expect(refused).toMatchObject({ status: 'failed', error: { status: 400 } });
  expect(modelsAsked()).toEqual(['first']);
});

test('429 with a long Retry-After: the task returns to the queue and frees its slot for others', async () => {
  upstream.script({ bodyContains: '"model":"busy"', status: 429, headers: { 'retry-after': '7' }, times: 1 });
  const { id } = await submit('later', { model: 'scripted/busy' });
  await waitUntil(async () => (await attempts(id))[0]?.outcome === 'released', {
    what: 'the task to be deferred',
    withinMs: 60_000,
  });
  expect((await task(id)).status).toBe('queued');
  expect((await answered('meanwhile')).status).toBe('succeeded');
  await reaches(id, 'succeeded');
  expect(modelsAsked().filter((model) => model === 'busy')).toHaveLength(2);
  const [first, second] = await attempts(id);
  expect(first).toMatchObject({ outcome: 'released', error_code: 'provider_rate_limited' });
  expect(second).toMatchObject({ outcome: 'succeeded', error_code: null });
  const [limited, again] = upstream.calls.filter((call) => getField(call, 'model') === 'busy');
  expect(again!.at - limited!.at).toBeGreaterThanOrEqual(7_000);
});

test('a call ends at its task’s deadline, and no other is started', async () => {
  upstream.script({ hang: true });
  const deadline = Date.now() / 1_000 + 6;
  const { id } = await submit('never answered', { deadline, fallback_models: ['scripted/second'] });
  expect(await reaches(id, 'expired')).toMatchObject({ error: { code: 'deadline_passed', status: 408 } });
  await waitUntil(() => upstream.calls[0]?.aborted === true, {
    what: 'the upstream to be left',
    withinMs: 60_000,
  });
  expect(modelsAsked()).toEqual(['first']);
});

test('a task that has not started within its start_timeout expires without a call; waiting tasks show their queue position and estimate', async () => {
  upstream.timing = { callMs: 50, itemMs: 0, pieceMs: 0 };
  await answered('so that it is known how long one takes');
  const held = await holder();
  const late = await submit('begins too late', { start_timeout: 1 });
  const first = await submit('waits');
  const second = await submit('waits behind');
  expect(await reaches(late.id, 'expired')).toMatchObject({ error: { code: 'start_timeout' } });
  expect(await task(first.id)).toMatchObject({
    status: 'queued',
    queue_position: 0,
    eta_seconds: expect.any(Number),
  });
  expect(await task(second.id)).toMatchObject({ queue_position: 1, eta_seconds: expect.any(Number) });
  expect((await task(second.id)).progress).toBeNull();
  await cancel(held);
  expect(await reaches(second.id, 'succeeded')).toMatchObject({ queue_position: null, eta_seconds: null });
  expect(textsAsked().filter((text) => text === 'begins too late')).toEqual([]);
});

test('tasks of lower priority run later, also with run_at', async () => {
  const held = await holder();
  const soon = Date.now() / 1_000 + 1;
  const last = await submit('least', { priority: -20, run_at: soon });
  const middle = await submit('less', { priority: -10, run_at: soon });
  for (const { id } of [last, middle]) await reaches(id, 'queued');
  const usual = await submit('usual');
  await cancel(held);
  for (const { id } of [usual, middle, last]) await reaches(id, 'succeeded');
  expect(textsAsked().slice(1)).toEqual(['usual', 'less', 'least']);
});
