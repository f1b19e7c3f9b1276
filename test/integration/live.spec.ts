/** Sockets and event streams of a real API process on the Postgres bus, with stores in memory. */
import { APP_FILTER, APP_GUARD, APP_PIPE, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import pg from 'pg';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import {
  createId,
  type BatchObject,
  type ClientToServer,
  type EventObject,
  type LiveState,
  type Permission,
  type ServerToClient,
  type SubscribeAck,
  type WorkersState,
} from '@millrace/contracts';
import { FeedStore } from '#database';
import { Gone, Unauthenticated } from '#domain';
import { connectBus, type Bus } from '#realtime';
import { createLogger } from '#telemetry';
import { AccessGuard } from '../../apps/api/src/access/access.guard.ts';
import { toCaller, type Caller } from '../../apps/api/src/access/caller.ts';
import { AUTHENTICATE } from '../../apps/api/src/access/authenticate.ts';
import { LiveFeed } from '../../apps/api/src/live/live-feed.ts';
import { LiveGateway } from '../../apps/api/src/live/live.gateway.ts';
import { liveParts } from '../../apps/api/src/live/live.module.ts';
import { READ_SUBJECT } from '../../apps/api/src/live/read-subject.ts';
import type { LiveServer, Viewer } from '../../apps/api/src/live/rooms.ts';
import { SocketIoAdapter } from '../../apps/api/src/live/socket-io.adapter.ts';
import { READ_WORKERS } from '../../apps/api/src/live/read-workers.ts';
import { BUS, LOGGER } from '../../apps/api/src/infrastructure/tokens.ts';
import { ErrorFilter } from '../../apps/api/src/http/error.filter.ts';
import { createSchemaPipe } from '../../apps/api/src/http/schema.pipe.ts';
import { eventually, pause } from '../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const log = createLogger('test', 'silent');
const configuredOrigin = 'https://console.example';

/** What the stores read, in memory. */
class FakeStores {
  readonly keys = new Map<string, Caller>();
  readonly batches = new Map<string, { workspaceId: string; batch: BatchObject; sequence: number }>();
  readonly events = new Map<string, EventObject[]>();
  reads = 0;
  afterRead: () => void | Promise<void> = () => {};

  addKey(workspaceId = createId('workspace'), scopes?: ReadonlySet<Permission>) {
    const [apiKey, keyId] = [`key-of-${workspaceId}-${this.keys.size}`, createId('apiKey')];
    const caller = toCaller({ workspaceId, keyId, userId: null, role: null, operatesInstance: false });
    this.keys.set(apiKey, { ...caller, ...(scopes && { scopes }) });
    return { apiKey, keyId, workspaceId };
  }
  addBatch(workspaceId: string): string {
    const id = createId('batch');
    this.batches.set(id, {
      workspaceId,
      batch: { id, request_counts: { completed: 0 } } as BatchObject,
      sequence: 0,
    });
    return id;
  }
  advance(id: string, completed: number): void {
    const state = this.batches.get(id)!;
    const batch = { ...state.batch, request_counts: { total: 100, completed, failed: 0 } };
    this.batches.set(id, { ...state, batch });
  }
  addEvent(workspaceId: string, subject: string, terminal = false): EventObject {
    const events = this.events.get(workspaceId) ?? [];
    this.events.set(workspaceId, events);
    const event = {
      id: createId('event'),
      type: 'batch.progress',
      subject,
      terminal,
      position: events.length + 1,
    } as EventObject;
    events.push(event);
    return event;
  }

  readonly authenticate = async (apiKey: string) => {
    const caller = this.keys.get(apiKey);
    if (!caller) throw new Unauthenticated('not valid');
    return caller;
  };
  readonly readSubject = async (workspaceId: string, id: string): Promise<LiveState | null> => {
    this.reads++;
    await pause(1);
    const state = this.batches.get(id);
    await this.afterRead();
    if (state?.workspaceId !== workspaceId) return null;
    const { batch: data, sequence } = state;
    return { object: 'state', version: 1, type: 'batch', subject: id, sequence, data };
  };
  /** Workers, with the workspace that each runs work of. */
  workers: { id: string; runs: string }[] = [];
  workerReads = 0;
  readonly readWorkers = async () => {
    const sequence = ++this.workerReads;
    return ({ workspaceId }: Viewer) => {
      const data = this.workers.map(({ id, runs }) => ({ id, running: runs === workspaceId ? [runs] : [] }));
      return {
        object: 'state',
        version: 1,
        type: 'workers',
        subject: 'workers',
        sequence,
        data,
      } as unknown as WorkersState;
    };
  };
  /** Events before this position are deleted. */
  oldestPosition = 0;
  readonly feed: Pick<FeedStore, 'getHeads' | 'listAfter' | 'findTerminalPosition' | 'assertNotExpired'> = {
    assertNotExpired: async (_, after) => {
      if (after > 0 && after < this.oldestPosition) throw new Gone('expired', { code: 'feed_expired' });
    },
    getHeads: async (ids) => new Map(ids.map((id) => [id, this.events.get(id)?.length ?? 0])),
    findTerminalPosition: async (id, subject) =>
      this.events.get(id)?.find((event) => event.subject === subject && event.terminal)?.position ?? null,
    listAfter: async (id, after, limit) => {
      await pause(1);
      await this.feed.assertNotExpired(id, after);
      return (this.events.get(id) ?? []).slice(after, after + limit);
    },
  };
}

let server: TestDatabase;
let publisher: Bus;
let stores: FakeStores;
let api: { app: NestFastifyApplication; bus: Bus; url: string; sockets: () => number };
const clients: Client[] = [];
type Client = Socket<ServerToClient, ClientToServer>;

async function startApi(): Promise<typeof api> {
  const bus = await connectBus({ kind: 'postgres', url: server.url }, { log, name: 'sockets-api' });
  const providers = [
    ...liveParts.providers,
    { provide: AUTHENTICATE, useValue: stores.authenticate },
    { provide: READ_SUBJECT, useValue: stores.readSubject },
    { provide: READ_WORKERS, useValue: stores.readWorkers },
    { provide: FeedStore, useValue: stores.feed },
    { provide: BUS, useValue: bus },
    { provide: LOGGER, useValue: log },
    { provide: APP_GUARD, useClass: AccessGuard },
    { provide: APP_FILTER, useClass: ErrorFilter },
    { provide: APP_PIPE, useFactory: createSchemaPipe },
  ];
  class TestModule {}
  const module = { module: TestModule, controllers: liveParts.controllers, providers };
  const app = await NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter(), {
    logger: false,
  });
  app.useWebSocketAdapter(new SocketIoAdapter(app, [configuredOrigin]));
  const sockets = () => app.get<unknown, { server: LiveServer }>(LiveGateway).server.sockets.sockets.size;
  await app.listen(0, '127.0.0.1');
  await app.get(LiveFeed).listening;
  return { app, bus, url: await app.getUrl(), sockets };
}

beforeAll(async () => {
  server = await createDatabase();
  publisher = await connectBus({ kind: 'postgres', url: server.url }, { log, name: 'sockets-publisher' });
});
afterAll(async () => {
  await publisher.close();
  await server.drop();
});
beforeEach(async () => {
  stores = new FakeStores();
  api = await startApi();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await api.app.close();
  await api.bus.close();
});

function open(apiKey: unknown, options: Partial<ManagerOptions & SocketOptions> = {}): Client {
  const client: Client = io(api.url, {
    auth: { apiKey },
    transports: ['websocket'],
    reconnection: false,
    forceNew: true,
    ...options,
  });
  clients.push(client);
  return client;
}

/** @returns `connected`, or the code or text of the connection error. */
function waitForOutcome(client: Client): Promise<string> {
  return new Promise((resolve) => {
    client.on('connect', () => resolve('connected'));
    client.on('connect_error', (error) =>
      resolve((error as { data?: { code: string } }).data?.code ?? error.message),
    );
  });
}

async function connect(apiKey: string) {
  const client = open(apiKey);
  const [batches, events]: [BatchObject[], EventObject[]] = [[], []];
  client.on('state', ({ data }) => batches.push(data as BatchObject));
  client.on('event', (event) => events.push(event));
  expect(await waitForOutcome(client)).toBe('connected');
  return { client, batches, events };
}

const subscribe = (client: Client, batch: string): Promise<SubscribeAck> =>
  client.timeout(5_000).emitWithAck('subscribe', { batch });
const raw = (client: Client) => client as unknown as Socket;

describe('connecting', () => {
  test.each([['unknown key'], [undefined], [{ toString: 'x' }], ['']])(
    'the API key %j is refused',
    async (apiKey) => {
      expect(await waitForOutcome(open(apiKey))).toBe('invalid_api_key');
    },
  );

  test.each(['websocket', 'polling'])(
    'only pages of the API itself and of configured origins connect (%s)',
    async (transport) => {
      const { apiKey } = stores.addKey();
      const from = (origin?: string) => {
        const extraHeaders: Record<string, string> = origin === undefined ? {} : { origin };
        return waitForOutcome(open(apiKey, { transports: [transport], extraHeaders }));
      };
      expect(await from()).toBe('connected');
      expect(await from(configuredOrigin)).toBe('connected');
      expect(await from(api.url)).toBe('connected');
      for (const origin of ['https://evil.example', `${configuredOrigin}.evil.example`, 'null', '']) {
        expect(await from(origin)).not.toBe('connected');
      }
    },
  );

  test('a socket ends when its key is revoked, also when the message was lost', async () => {
    const [first, second, third] = [stores.addKey(), stores.addKey(), stores.addKey()];
    const sockets = [await connect(first.apiKey), await connect(second.apiKey), await connect(third.apiKey)];
    const areConnected = () => sockets.map(({ client }) => client.connected);
    await publisher.publish('key.revoked', { keyId: first.keyId });
    await eventually('the first ends', () => !areConnected()[0]);
    stores.keys.delete(second.apiKey);
    await cutBus();
    await eventually('the second ends', () => !areConnected()[1]);
    expect(areConnected()).toEqual([false, false, true]);
  });
});

describe('HTTP and sockets return the same error', () => {
  const getEvents = async (apiKey: string) => {
    const response = await fetch(`${api.url}/v1/events`, { headers: { authorization: `Bearer ${apiKey}` } });
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return { status: response.status, code: error.code, message: error.message };
  };

  test('for a key that is not valid', async () => {
    const socketError = new Promise<Error & { data?: { code: string } }>((resolve) =>
      open('wrong').on('connect_error', resolve),
    );
    const { message, data } = await socketError;
    expect(await getEvents('wrong')).toEqual({ status: 401, code: data?.code, message });
  });

  test('for a permission that the caller does not have', async () => {
    const { apiKey, workspaceId } = stores.addKey(undefined, new Set<Permission>(['batches:read']));
    const { client } = await connect(apiKey);
    const answer = await subscribe(client, stores.addBatch(workspaceId));
    const { status, ...error } = await getEvents(apiKey);
    expect([status, error.code]).toEqual([403, 'permission_denied']);
    expect(answer).toEqual({ ok: false, error });
  });

  test('for an internal error', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const { client } = await connect(apiKey);
    const batchId = stores.addBatch(workspaceId);
    stores.afterRead = () => {
      throw new Error('a secret detail');
    };
    const answer = await subscribe(client, batchId);
    const response = await fetch(`${api.url}/v1/batches/${batchId}/events`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect([response.status, error.code]).toEqual([500, 'internal_error']);
    expect(answer).toEqual({ ok: false, error: { code: error.code, message: error.message } });
  });
});

/** Cuts the API's connection to the bus. The API reconnects by itself. */
async function cutBus(): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sockets-api' and datname = current_database()`,
  );
  await client.end();
}

describe('subscribing', () => {
  test('returns the state; an id that is unknown or of another workspace is not found, and sends nothing', async () => {
    const [mine, theirs] = [stores.addKey(), stores.addKey()];
    const [own, foreign] = [stores.addBatch(mine.workspaceId), stores.addBatch(theirs.workspaceId)];
    const here = await connect(mine.apiKey);
    const there = await connect(theirs.apiKey);
    expect(await subscribe(here.client, own)).toMatchObject({
      ok: true,
      state: { type: 'batch', subject: own, sequence: 0, data: { id: own } },
    });
    expect(await subscribe(there.client, foreign)).toMatchObject({ ok: true });
    // While the refused subscription is checked, the owner receives an event and a new state.
    stores.reads = 0;
    stores.afterRead = async () => {
      if (stores.reads > 1) return;
      stores.addEvent(theirs.workspaceId, foreign);
      await publisher.publish('events.published', { workspaceId: theirs.workspaceId, from: 1, to: 1 });
      await eventually('the owner receives both', () => there.batches.length > 0 && there.events.length > 0);
    };
    for (const id of [foreign, createId('batch')]) {
      expect(await subscribe(here.client, id)).toMatchObject({ ok: false, error: { code: 'not_found' } });
    }
    expect(there.events).toHaveLength(1);
    expect([here.batches, here.events]).toEqual([[], []]);
  });

  test.each([
    [{ batch: 'batch:*' }],
    [{ batch: `../${createId('batch')}` }],
    [{}],
    ['x'],
    [null],
    [{ batch: { $ne: 1 } }],
    [[1, 2]],
    [{ workspace: 'ws' }],
    [{ workspace: true, after: -1 }],
  ])('with %j is refused', async (body) => {
    const { client } = await connect(stores.addKey().apiKey);
    const answer: unknown = await raw(client).timeout(5_000).emitWithAck('subscribe', body);
    expect(answer).toMatchObject({ ok: false, error: { code: 'invalid_request' } });
  });

  test('misses no change between the read of the state and the join of the room', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    const { client } = await connect(apiKey);
    // After the first read, before the socket is in the room: a message would not reach it.
    stores.afterRead = () => {
      if (stores.reads === 1) stores.advance(batchId, 42);
    };
    expect(await subscribe(client, batchId)).toMatchObject({
      ok: true,
      state: { data: { request_counts: { completed: 42 } } },
    });
  });

  test('an unknown message is refused, and a client cannot name a room', async () => {
    const { client } = await connect(stores.addKey().apiKey);
    for (const event of ['join', 'state', 'event', '__proto__', 'error']) {
      const answer: unknown = await raw(client).timeout(5_000).emitWithAck(event, { room: 'batch:x' });
      expect(answer).toMatchObject({ ok: false, error: { code: 'unknown_message' } });
    }
    expect(client.connected).toBe(true);
  });

  test('a connection follows 100 batches at most', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const { client } = await connect(apiKey);
    const ids = Array.from({ length: 101 }, () => stores.addBatch(workspaceId));
    const answers: SubscribeAck[] = [];
    for (const id of ids) {
      answers.push(await subscribe(client, id));
      if (answers.length % 40 === 0) await pause(1_050);
    }
    expect(answers.filter(({ ok }) => ok)).toHaveLength(100);
    expect(answers.at(-1)).toMatchObject({ error: { code: 'too_many_subscriptions' } });
    client.emit('unsubscribe', { batch: ids[0]! });
    expect(await subscribe(client, ids.at(-1)!)).toMatchObject({ ok: true });
  });

  test('a frame of 1 MB or a flood of messages ends that connection and no other', async () => {
    const { apiKey } = stores.addKey();
    const [large, flood, other] = [await connect(apiKey), await connect(apiKey), await connect(apiKey)];
    raw(large.client).emit('subscribe', 'x'.repeat(1 << 20));
    for (let n = 0; n < 200; n++) raw(flood.client).emit('subscribe', {});
    await eventually('both end', () => !large.client.connected && !flood.client.connected);
    expect(other.client.connected).toBe(true);
  });
});

describe('a socket receives', () => {
  test('the state of a batch at most five times a second, and always the last one', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const [batchId, notFollowed] = [stores.addBatch(workspaceId), stores.addBatch(workspaceId)];
    const { client, batches } = await connect(apiKey);
    await subscribe(client, batchId);
    stores.reads = 0;
    const began = performance.now();
    let completed = 0;
    while (performance.now() - began < 1_000) {
      stores.advance(batchId, ++completed);
      publisher.publishUpdate('batch', { batchId });
      publisher.publishUpdate('batch', { batchId: notFollowed });
      await pause(5);
    }
    const newest = () => batches.at(-1)?.request_counts.completed;
    await eventually('the last state', () => newest() === completed);
    expect(batches.length).toBeGreaterThanOrEqual(3);
    expect(batches.length).toBeLessThanOrEqual(8);
    expect(stores.reads).toBeLessThanOrEqual(8);
  });

  test('each event of a followed subject once and in order, also when a message was lost', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const [followed, other] = [stores.addBatch(workspaceId), stores.addBatch(workspaceId)];
    const before = stores.addEvent(workspaceId, followed);
    const { client, events } = await connect(apiKey);
    await subscribe(client, followed);
    const expected: EventObject[] = [];
    for (let n = 0; n < 1_200; n++) {
      const event = stores.addEvent(workspaceId, n % 3 === 0 ? other : followed);
      if (event.subject === followed) expected.push(event);
    }
    // A message is published for the last event only, and twice.
    const to = stores.events.get(workspaceId)!.length;
    for (let n = 0; n < 2; n++) await publisher.publish('events.published', { workspaceId, from: to, to });
    await eventually('all events', () => events.length >= expected.length);
    await pause(50);
    expect(events.map(({ position }) => position)).toEqual(expected.map(({ position }) => position));
    expect(events).not.toContainEqual(before);
  });

  test('events that were published during an outage of the bus, once it is back', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    const { client, events, batches } = await connect(apiKey);
    await subscribe(client, batchId);
    stores.addEvent(workspaceId, batchId);
    stores.advance(batchId, 7);
    await cutBus();
    await eventually('the event', () => events.length === 1);
    await eventually('the state', () => batches.at(-1)?.request_counts.completed === 7);
  });

  test('an event without a message', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    const { client, events } = await connect(apiKey);
    await subscribe(client, batchId);
    stores.addEvent(workspaceId, batchId);
    await eventually('the event', () => events.length === 1);
  });

  test('the same event from each of two API processes', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    const first = await connect(apiKey);
    const firstApi = api;
    api = await startApi();
    try {
      const second = await connect(apiKey);
      for (const { client } of [first, second]) await subscribe(client, batchId);
      const event = stores.addEvent(workspaceId, batchId);
      await publisher.publish('events.published', { workspaceId, from: 1, to: 1 });
      await eventually('both', () => first.events.length > 0 && second.events.length > 0);
      for (const { events } of [first, second]) expect(events).toEqual([event]);
    } finally {
      await firstApi.app.close();
      await firstApi.bus.close();
    }
  });

  test('no more events of a batch that it unsubscribed from', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const [unfollowed, followed] = [stores.addBatch(workspaceId), stores.addBatch(workspaceId)];
    const { client, events } = await connect(apiKey);
    for (const id of [unfollowed, followed]) await subscribe(client, id);
    client.emit('unsubscribe', { batch: unfollowed });
    await subscribe(client, followed);
    stores.addEvent(workspaceId, unfollowed);
    const expected = stores.addEvent(workspaceId, followed);
    await publisher.publish('events.published', { workspaceId, from: 1, to: 2 });
    await eventually('the event of the other batch', () => events.length > 0);
    expect(events).toEqual([expected]);
  });

  test('each event of a followed workspace once; on resuming, the missed events first', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const [followed, other] = [stores.addBatch(workspaceId), stores.addBatch(workspaceId)];
    for (let n = 0; n < 700; n++) stores.addEvent(workspaceId, n % 2 ? followed : other);
    const { client, events } = await connect(apiKey);
    await subscribe(client, followed);
    const answer = await client.timeout(5_000).emitWithAck('subscribe', { workspace: true, after: 20 });
    expect(answer).toEqual({ ok: true, position: 700 });
    stores.addEvent(workspaceId, followed);
    const last = stores.addEvent(workspaceId, other);
    await publisher.publish('events.published', { workspaceId, from: 701, to: 702 });
    await eventually('the last', () => events.at(-1)?.id === last.id);
    expect(events.map(({ position }) => position)).toEqual(Array.from({ length: 682 }, (_, at) => at + 21));
    client.emit('unsubscribe', { workspace: true });
    await subscribe(client, followed);
    stores.addEvent(workspaceId, other);
    const own = stores.addEvent(workspaceId, followed);
    await publisher.publish('events.published', { workspaceId, from: 703, to: 704 });
    await eventually('the event of the followed batch', () => events.at(-1)?.id === own.id);
    expect(events).toHaveLength(683);
  });

  test('nothing more when it stops reading: it is disconnected, so that its buffer stays bounded', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    const [slow, reading] = [await connect(apiKey), await connect(apiKey)];
    for (const { client } of [slow, reading]) await client.emitWithAck('subscribe', { workspace: true });
    // The data stays in the system's buffers, and TCP stops the sender.
    const engine = (
      slow.client.io as unknown as { engine: { transport: { ws: { _socket: { pause(): void } } } } }
    ).engine;
    engine.transport.ws._socket.pause();
    const before = stores.events.get(workspaceId)?.length ?? 0;
    for (let n = 0; n < 6_000; n++) stores.addEvent(workspaceId, batchId).data = { id: 'x'.repeat(4_000) };
    await publisher.publish('events.published', { workspaceId, from: before + 1, to: before + 6_000 });
    await eventually('the other socket has all events', () => reading.events.length === 6_000);
    const open = () => api.sockets();
    await eventually('the slow socket is disconnected', () => open() === 1);
    expect(reading.client.connected).toBe(true);
  });
});

interface StreamMessage {
  id?: string;
  event?: string;
  data?: { position?: number; subject: string; type: string };
}

/** Reads an event stream (WHATWG HTML, "Server-sent events") until it ends or has sent `limit` messages. */
async function readStream(
  path: string,
  apiKey: string,
  limit = Infinity,
  headers: Record<string, string> = {},
) {
  const stopped = new AbortController();
  const response = await fetch(api.url + path, {
    headers: { authorization: `Bearer ${apiKey}`, accept: 'text/event-stream', ...headers },
    signal: stopped.signal,
  });
  const messages: StreamMessage[] = [];
  const ended = (async () => {
    let text = '';
    for await (const bytes of response.body ?? []) {
      text += Buffer.from(bytes as Uint8Array).toString();
      const blocks = text.split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) {
        const fields = Object.fromEntries(
          block.split('\n').flatMap((line) => {
            const [, name, value] = /^(id|event|data): (.*)$/.exec(line) ?? [];
            return name ? [[name, name === 'data' ? JSON.parse(value!) : value]] : [];
          }),
        ) as StreamMessage;
        if (fields.event) messages.push(fields);
      }
      if (messages.length >= limit) stopped.abort();
    }
  })().catch((error: unknown) => {
    if (!stopped.signal.aborted) throw error;
  });
  return { response, messages, ended, stop: () => stopped.abort() };
}

test('a subscription to workers returns their state and sends changes; a workspace sees its own work only; the reads stop after the last subscriber', async () => {
  const [mine, theirs] = [stores.addKey(), stores.addKey()];
  stores.workers = [{ id: 'a', runs: mine.workspaceId }];
  const follow = async (apiKey: string) => {
    const client = open(apiKey);
    const states: WorkersState[] = [];
    client.on('state', (state) => states.push(state as WorkersState));
    expect(await waitForOutcome(client)).toBe('connected');
    const answer = (await client.timeout(5_000).emitWithAck('subscribe', { workers: true })) as {
      state: WorkersState;
    };
    return { client, states, first: answer.state };
  };
  const [here, there] = [await follow(mine.apiKey), await follow(theirs.apiKey)];
  expect(here.first).toMatchObject({
    type: 'workers',
    subject: 'workers',
    data: [{ id: 'a', running: [mine.workspaceId] }],
  });
  expect(there.first.data).toEqual([{ id: 'a', running: [] }]);
  stores.workers = [{ id: 'b', runs: mine.workspaceId }];
  for (const { states, first } of [here, there]) {
    await eventually('the change', () => JSON.stringify(states.at(-1)?.data ?? '').includes('"b"'), 60_000);
    expect(states.at(-1)!.sequence).toBeGreaterThan(first.sequence);
  }
  expect(there.states.at(-1)!.data).toEqual([{ id: 'b', running: [] }]);
  // A state without a change is not sent again.
  const sent = here.states.length;
  const before = stores.workerReads;
  await eventually('they are read again', () => stores.workerReads > before + 1, 60_000);
  expect(here.states).toHaveLength(sent);
  here.client.emit('unsubscribe', { workers: true });
  there.client.disconnect();
  await eventually(
    'the reads stop',
    async () => {
      const reads = stores.workerReads;
      await pause(1_200);
      return stores.workerReads === reads;
    },
    60_000,
  );
});

describe('event streams', () => {
  const publishLast = (workspaceId: string) => {
    const to = stores.events.get(workspaceId)!.length;
    return publisher.publish('events.published', { workspaceId, from: to, to });
  };

  test('of a batch: its state, its events and newer states; the stream ends with the batch', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const [batchId, other] = [stores.addBatch(workspaceId), stores.addBatch(workspaceId)];
    const stream = await readStream(`/v1/batches/${batchId}/events`, apiKey);
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    await eventually('the state', () => stream.messages.length > 0);
    expect(stream.messages[0]).toMatchObject({
      id: '0',
      event: 'state',
      data: { subject: batchId, type: 'batch' },
    });
    stores.advance(batchId, 12);
    publisher.publishUpdate('batch', { batchId });
    await eventually('a newer state', () => stream.messages.length === 2);
    stores.addEvent(workspaceId, batchId);
    stores.addEvent(workspaceId, other);
    stores.advance(batchId, 100);
    stores.addEvent(workspaceId, batchId, true);
    await publishLast(workspaceId);
    await stream.ended;
    const events = stream.messages.filter(({ event }) => event !== 'state');
    expect(events.map(({ id, event, data }) => [id, event, data?.position])).toEqual([
      ['1', 'batch.progress', 1],
      ['3', 'batch.progress', 3],
    ]);
    expect(stream.messages.at(-1)).toMatchObject({
      event: 'state',
      data: { data: { request_counts: { completed: 100 } } },
    });

    // A client resumes after its last event. Status 204 tells a client that has all of them not to reconnect.
    const resumed = await readStream(`/v1/batches/${batchId}/events`, apiKey, Infinity, {
      'last-event-id': '1',
    });
    await resumed.ended;
    expect(resumed.messages.map(({ id, event }) => [id, event])).toEqual([
      ['3', 'batch.progress'],
      [undefined, 'state'],
    ]);
    const over = await readStream(`/v1/batches/${batchId}/events`, apiKey, Infinity, {
      'last-event-id': '3',
    });
    expect(over.response.status).toBe(204);
  });

  test('of a workspace: missed events, then new ones, each once; without the Accept header a page of events', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    for (let n = 0; n < 30; n++) stores.addEvent(workspaceId, batchId);
    const stream = await readStream('/v1/events?after=10', apiKey, 25);
    await eventually('the missed events', () => stream.messages.length === 20);
    for (let n = 0; n < 5; n++) stores.addEvent(workspaceId, batchId);
    await publishLast(workspaceId);
    await stream.ended;
    expect(stream.messages.map(({ id }) => Number(id))).toEqual(
      Array.from({ length: 25 }, (_, at) => at + 11),
    );
    const list = await fetch(`${api.url}/v1/events?after=30&limit=3`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    const page = (await list.json()) as { data: EventObject[]; has_more: boolean };
    expect([page.data.map(({ position }) => position), page.has_more]).toEqual([[31, 32, 33], true]);
  });

  test('an expired position is refused by the list, the stream and the socket', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    for (let n = 0; n < 9; n++) stores.addEvent(workspaceId, batchId);
    stores.oldestPosition = 5;
    const refused = await readStream('/v1/events?after=3', apiKey);
    expect(refused.response.status).toBe(410);
    const headers = { authorization: `Bearer ${apiKey}` };
    const list = await fetch(`${api.url}/v1/events?after=3`, { headers });
    expect([list.status, await list.json()]).toMatchObject([410, { error: { code: 'feed_expired' } }]);
    const { client } = await connect(apiKey);
    expect(await client.emitWithAck('subscribe', { workspace: true, after: 3 })).toMatchObject({
      ok: false,
      error: { code: 'feed_expired' },
    });
    expect((await fetch(`${api.url}/v1/events?after=5`, { headers })).status).toBe(200);
  });

  test('the stream of a batch starts with its state when the position is expired', async () => {
    const { apiKey, workspaceId } = stores.addKey();
    const batchId = stores.addBatch(workspaceId);
    for (let n = 0; n < 9; n++) stores.addEvent(workspaceId, batchId);
    stores.oldestPosition = 5;
    const stream = await readStream(`/v1/batches/${batchId}/events`, apiKey, 1, { 'last-event-id': '3' });
    await stream.ended;
    expect(stream.messages).toMatchObject([{ id: '9', event: 'state' }]);
  });

  test('a stream ends when its key is revoked; a batch of another workspace is not found', async () => {
    const [mine, theirs] = [stores.addKey(), stores.addKey()];
    const batchId = stores.addBatch(mine.workspaceId);
    expect((await readStream(`/v1/batches/${batchId}/events`, theirs.apiKey)).response.status).toBe(404);
    expect((await readStream('/v1/events', 'unknown')).response.status).toBe(401);
    const stream = await readStream(`/v1/batches/${batchId}/events`, mine.apiKey);
    await eventually('the state', () => stream.messages.length > 0);
    await publisher.publish('key.revoked', { keyId: mine.keyId });
    await stream.ended;
  });
});
