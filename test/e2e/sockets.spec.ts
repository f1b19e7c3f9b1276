/** Sockets of the running platform: a batch to its end, the workers, and refused keys. */
import { io } from 'socket.io-client';
import type { BatchObject, EventObject, LiveState, SubscribeAck, WorkersState } from '@millrace/contracts';
import { startPlatform, submitBatch, waitUntil, type Platform } from '../support/platform.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

const line = (index: number) =>
  JSON.stringify({
    custom_id: `row-${index}`,
    method: 'POST',
    url: '/v1/embeddings',
    body: { model: 'sandbox/embeddings:slow', input: `sentence ${index}` },
  });

test('a socket receives the states and events of a batch to its end', async () => {
  const id = await submitBatch(platform, Array.from({ length: 500 }, (_, index) => line(index)).join('\n'));
  const socket = io(platform.url, { auth: { apiKey: platform.apiKey }, transports: ['websocket'] });
  const states: LiveState[] = [];
  const events: EventObject[] = [];
  socket.on('state', (state: LiveState) => states.push(state));
  socket.on('event', (event: EventObject) => events.push(event));
  try {
    const answer = (await socket.timeout(10_000).emitWithAck('subscribe', { batch: id })) as SubscribeAck;
    expect(answer).toMatchObject({ ok: true, state: { type: 'batch', subject: id, data: { id } } });
    await waitUntil(() => events.some(({ type }) => type === 'batch.completed'), {
      what: 'batch.completed',
    });
    await waitUntil(() => states.at(-1)?.data.status === 'completed', { what: 'the completed state' });
    const done = states.map(({ data }) => (data as BatchObject).request_counts.completed);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(500);
    const positions = events.map(({ position }) => position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    const milestones = events.filter(({ type }) => type === 'batch.progress');
    expect(milestones.at(-1)?.data['progress']).toBe(90);
  } finally {
    socket.disconnect();
  }
});

test('subscribing to workers returns the JSON of GET /v1/workers, and then newer states', async () => {
  const socket = io(platform.url, { auth: { apiKey: platform.apiKey }, transports: ['websocket'] });
  const states: WorkersState[] = [];
  socket.on('state', (state: WorkersState) => states.push(state));
  try {
    const answer = (await socket.timeout(30_000).emitWithAck('subscribe', { workers: true })) as {
      state: WorkersState;
    };
    const listed = await platform.client.get<WorkersState['data']>('/workers');
    const withoutVolatile = ({ data, ...page }: WorkersState['data']) => ({
      ...page,
      data: data.map(({ seen_at: _, memory_bytes: __, ...worker }) => worker),
    });
    expect(withoutVolatile(answer.state.data)).toEqual(withoutVolatile(listed));
    const isNewer = (state?: WorkersState) => state !== undefined && state.sequence > answer.state.sequence;
    await waitUntil(() => isNewer(states.at(-1)), { what: 'a newer state', withinMs: 60_000 });
    const added = await platform.addWorker();
    const ready = () => states.at(-1)?.data.data.filter(({ status }) => status === 'ready').length;
    await waitUntil(() => ready() === 2, { what: 'the second worker to be seen', withinMs: 60_000 });
    const { child } = added;
    child.kill('SIGTERM');
    await waitUntil(() => states.at(-1)?.data.data.length === 1, {
      what: 'the second worker to leave',
      withinMs: 60_000,
    });
  } finally {
    socket.disconnect();
  }
});

test('a socket with an invalid key is refused', async () => {
  const socket = io(platform.url, {
    auth: { apiKey: 'mr_wrong' },
    transports: ['websocket'],
    reconnection: false,
  });
  const refused = await new Promise<Error>((resolve) => socket.once('connect_error', resolve));
  socket.disconnect();
  expect(refused.message).toContain('API key is not valid');
});
