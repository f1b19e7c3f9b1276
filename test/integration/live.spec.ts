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

/** The truth, in memory: what the stores would read. */
class Truth {
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
  /** Workers by what they run, and how often they were looked at. */
  workers: { id: string; runs: string }[] = [];
  looks = 0;
  readonly readWorkers = async () => {
    const sequence = ++this.looks;
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
  /** Facts up to this position are no longer kept. */
  forgotten = 0;
  readonly feed: Pick<FeedStore, 'getHeads' | 'listAfter' | 'findTerminalPosition' | 'assertNotExpired'> = {
    assertNotExpired: async (_, after) => {
      if (after > 0 && after < this.forgotten) throw new Gone('no longer kept', { code: 'feed_expired' });
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
let speaker: Bus;
let truth: Truth;
let api: { app: NestFastifyApplication; bus: Bus; url: string; sockets: () => number };
const clients: Client[] = [];
type Client = Socket<ServerToClient, ClientToServer>;

async function startApi(): Promise<typeof api> {
  const bus = await connectBus({ kind: 'postgres', url: server.url }, { log, name: 'sockets-api' });
  const providers = [
    ...liveParts.providers,
    { provide: AUTHENTICATE, useValue: truth.authenticate },
    { provide: READ_SUBJECT, useValue: truth.readSubject },
    { provide: READ_WORKERS, useValue: truth.readWorkers },
    { provide: FeedStore, useValue: truth.feed },
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
  speaker = await connectBus({ kind: 'postgres', url: server.url }, { log, name: 'sockets-speaker' });
});
afterAll(async () => {
  await speaker.close();
  await server.drop();
});
beforeEach(async () => {
  truth = new Truth();
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

/** @returns `connected`, or the code or text of the refusal. */
function outcome(client: Client): Promise<string> {
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
  expect(await outcome(client)).toBe('connected');
  return { client, batches, events };
}

const subscribe = (client: Client, batch: string): Promise<SubscribeAck> =>
  client.timeout(5_000).emitWithAck('subscribe', { batch });
const raw = (client: Client) => client as unknown as Socket;

describe('who may connect', () => {
  test.each([['of no workspace'], [undefined], [{ toString: 'x' }], ['']])(
    'not with the key %j',
    async (apiKey) => {
      expect(await outcome(open(apiKey))).toBe('invalid_api_key');
    },
  );

  test.each(['websocket', 'polling'])(
    'pages of our own and of configured origins, and no other (%s)',
    async (transport) => {
      const { apiKey } = truth.addKey();
      const from = (origin?: string) => {
        const extraHeaders: Record<string, string> = origin === undefined ? {} : { origin };
        return outcome(open(apiKey, { transports: [transport], extraHeaders }));
      };
      expect(await from()).toBe('connected');
      expect(await from(configuredOrigin)).toBe('connected');
      expect(await from(api.url)).toBe('connected');
      for (const origin of ['https://evil.example', `${configuredOrigin}.evil.example`, 'null', '']) {
        expect(await from(origin)).not.toBe('connected');
      }
    },
  );

  test('a socket ends when its key is revoked, also when the word of it was lost', async () => {
    const [first, second, third] = [truth.addKey(), truth.addKey(), truth.addKey()];
    const sockets = [await connect(first.apiKey), await connect(second.apiKey), await connect(third.apiKey)];
    const alive = () => sockets.map(({ client }) => client.connected);
    await speaker.publish('key.revoked', { keyId: first.keyId });
    await eventually('the first ends', () => !alive()[0]);
    truth.keys.delete(second.apiKey);
    await cutBus();
    await eventually('the second ends', () => !alive()[1]);
    expect(alive()).toEqual([false, false, true]);
  });
});

describe('a refusal is the same over HTTP and sockets', () => {
  const getEvents = async (apiKey: string) => {
    const response = await fetch(`${api.url}/v1/events`, { headers: { authorization: `Bearer ${apiKey}` } });
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return { status: response.status, code: error.code, message: error.message };
  };

  test('of a key that is not valid', async () => {
    const socketError = new Promise<Error & { data?: { code: string } }>((resolve) =>
      open('wrong').on('connect_error', resolve),
    );
    const { message, data } = await socketError;
    expect(await getEvents('wrong')).toEqual({ status: 401, code: data?.code, message });
  });

  test('of a permission that the caller does not have', async () => {
    const { apiKey, workspaceId } = truth.addKey(undefined, new Set<Permission>(['batches:read']));
    const { client } = await connect(apiKey);
    const answer = await subscribe(client, truth.addBatch(workspaceId));
    const { status, ...error } = await getEvents(apiKey);
    expect([status, error.code]).toEqual([403, 'permission_denied']);
    expect(answer).toEqual({ ok: false, error });
  });

  test('of a failure of the server', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const { client } = await connect(apiKey);
    const batchId = truth.addBatch(workspaceId);
    truth.afterRead = () => {
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

/** Cuts the API's connection to the bus, which it mends by itself. */
async function cutBus(): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sockets-api' and datname = current_database()`,
  );
  await client.end();
}

describe('subscribing', () => {
  test('is answered with the state; a foreign or unknown id is not found, and its room stays closed', async () => {
    const [mine, theirs] = [truth.addKey(), truth.addKey()];
    const [own, foreign] = [truth.addBatch(mine.workspaceId), truth.addBatch(theirs.workspaceId)];
    const here = await connect(mine.apiKey);
    const there = await connect(theirs.apiKey);
    expect(await subscribe(here.client, own)).toMatchObject({
      ok: true,
      state: { type: 'batch', subject: own, sequence: 0, data: { id: own } },
    });
    expect(await subscribe(there.client, foreign)).toMatchObject({ ok: true });
    // While the stranger's subscription is looked into, its owner is told of a event and of a new state.
    truth.reads = 0;
    truth.afterRead = async () => {
      if (truth.reads > 1) return;
      truth.addEvent(theirs.workspaceId, foreign);
      await speaker.publish('events.published', { workspaceId: theirs.workspaceId, from: 1, to: 1 });
      await eventually('the owner hears', () => there.batches.length > 0 && there.events.length > 0);
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
    const { client } = await connect(truth.addKey().apiKey);
    const answer: unknown = await raw(client).timeout(5_000).emitWithAck('subscribe', body);
    expect(answer).toMatchObject({ ok: false, error: { code: 'invalid_request' } });
  });

  test('loses no change that falls between the look and the room', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    const { client } = await connect(apiKey);
    // Right after the first look, before the socket is in the room: nobody is there to be told.
    truth.afterRead = () => {
      if (truth.reads === 1) truth.advance(batchId, 42);
    };
    expect(await subscribe(client, batchId)).toMatchObject({
      ok: true,
      state: { data: { request_counts: { completed: 42 } } },
    });
  });

  test('nothing else is understood, and nobody can name a room', async () => {
    const { client } = await connect(truth.addKey().apiKey);
    for (const event of ['join', 'state', 'event', '__proto__', 'error']) {
      const answer: unknown = await raw(client).timeout(5_000).emitWithAck(event, { room: 'batch:x' });
      expect(answer).toMatchObject({ ok: false, error: { code: 'unknown_message' } });
    }
    expect(client.connected).toBe(true);
  });

  test('a connection follows 100 batches at most', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const { client } = await connect(apiKey);
    const ids = Array.from({ length: 101 }, () => truth.addBatch(workspaceId));
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

  test("a frame of a megabyte, or a flood, ends the connection and nobody else's", async () => {
    const { apiKey } = truth.addKey();
    const [large, flood, calm] = [await connect(apiKey), await connect(apiKey), await connect(apiKey)];
    raw(large.client).emit('subscribe', 'x'.repeat(1 << 20));
    for (let n = 0; n < 200; n++) raw(flood.client).emit('subscribe', {});
    await eventually('both end', () => !large.client.connected && !flood.client.connected);
    expect(calm.client.connected).toBe(true);
  });
});

describe('what is sent', () => {
  test('signals: the batch as it stands, five times a second at most, the last state always', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const [batchId, unwatched] = [truth.addBatch(workspaceId), truth.addBatch(workspaceId)];
    const { client, batches } = await connect(apiKey);
    await subscribe(client, batchId);
    truth.reads = 0;
    const began = performance.now();
    let completed = 0;
    while (performance.now() - began < 1_000) {
      truth.advance(batchId, ++completed);
      speaker.publishUpdate('batch', { batchId });
      speaker.publishUpdate('batch', { batchId: unwatched });
      await pause(5);
    }
    const newest = () => batches.at(-1)?.request_counts.completed;
    await eventually('the last state', () => newest() === completed);
    expect(batches.length).toBeGreaterThanOrEqual(3);
    expect(batches.length).toBeLessThanOrEqual(8);
    expect(truth.reads).toBeLessThanOrEqual(8);
  });

  test("events go to their subject's followers, in order, each once, a lost announcement made good by the next", async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const [followed, other] = [truth.addBatch(workspaceId), truth.addBatch(workspaceId)];
    const before = truth.addEvent(workspaceId, followed);
    const { client, events } = await connect(apiKey);
    await subscribe(client, followed);
    const expected: EventObject[] = [];
    for (let n = 0; n < 1_200; n++) {
      const event = truth.addEvent(workspaceId, n % 3 === 0 ? other : followed);
      if (event.subject === followed) expected.push(event);
    }
    // Of all these only the last is announced, and twice.
    const to = truth.events.get(workspaceId)!.length;
    for (let n = 0; n < 2; n++) await speaker.publish('events.published', { workspaceId, from: to, to });
    await eventually('all events', () => events.length >= expected.length);
    await pause(50);
    expect(events.map(({ position }) => position)).toEqual(expected.map(({ position }) => position));
    expect(events).not.toContainEqual(before);
  });

  test('what was stamped while the bus was away is read when it is back', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    const { client, events, batches } = await connect(apiKey);
    await subscribe(client, batchId);
    truth.addEvent(workspaceId, batchId);
    truth.advance(batchId, 7);
    await cutBus();
    await eventually('the event', () => events.length === 1);
    await eventually('the state', () => batches.at(-1)?.request_counts.completed === 7);
  });

  test('a event that nobody ever announced arrives all the same', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    const { client, events } = await connect(apiKey);
    await subscribe(client, batchId);
    truth.addEvent(workspaceId, batchId);
    await eventually('the event', () => events.length === 1);
  });

  test('two API processes tell their own sockets the same', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    const first = await connect(apiKey);
    const firstApi = api;
    api = await startApi();
    try {
      const second = await connect(apiKey);
      for (const { client } of [first, second]) await subscribe(client, batchId);
      const event = truth.addEvent(workspaceId, batchId);
      await speaker.publish('events.published', { workspaceId, from: 1, to: 1 });
      await eventually('both', () => first.events.length > 0 && second.events.length > 0);
      for (const { events } of [first, second]) expect(events).toEqual([event]);
    } finally {
      await firstApi.app.close();
      await firstApi.bus.close();
    }
  });

  test('after unsubscribing nothing more comes', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const [left, kept] = [truth.addBatch(workspaceId), truth.addBatch(workspaceId)];
    const { client, events } = await connect(apiKey);
    for (const id of [left, kept]) await subscribe(client, id);
    client.emit('unsubscribe', { batch: left });
    await subscribe(client, kept);
    truth.addEvent(workspaceId, left);
    const wanted = truth.addEvent(workspaceId, kept);
    await speaker.publish('events.published', { workspaceId, from: 1, to: 2 });
    await eventually('what is still followed', () => events.length > 0);
    expect(events).toEqual([wanted]);
  });

  test('of the workspace every event comes once, and who resumes is told what it missed first', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const [followed, other] = [truth.addBatch(workspaceId), truth.addBatch(workspaceId)];
    for (let n = 0; n < 700; n++) truth.addEvent(workspaceId, n % 2 ? followed : other);
    const { client, events } = await connect(apiKey);
    await subscribe(client, followed);
    const answer = await client.timeout(5_000).emitWithAck('subscribe', { workspace: true, after: 20 });
    expect(answer).toEqual({ ok: true, position: 700 });
    truth.addEvent(workspaceId, followed);
    const last = truth.addEvent(workspaceId, other);
    await speaker.publish('events.published', { workspaceId, from: 701, to: 702 });
    await eventually('the last', () => events.at(-1)?.id === last.id);
    expect(events.map(({ position }) => position)).toEqual(Array.from({ length: 682 }, (_, at) => at + 21));
    client.emit('unsubscribe', { workspace: true });
    await subscribe(client, followed);
    truth.addEvent(workspaceId, other);
    const mine = truth.addEvent(workspaceId, followed);
    await speaker.publish('events.published', { workspaceId, from: 703, to: 704 });
    await eventually('its subject still', () => events.at(-1)?.id === mine.id);
    expect(events).toHaveLength(683);
  });

  test('a socket that takes nothing is dropped, and nothing is gathered for it without end', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    const [slow, calm] = [await connect(apiKey), await connect(apiKey)];
    for (const { client } of [slow, calm]) await client.emitWithAck('subscribe', { workspace: true });
    // What has come is left in the system's buffers: the network's way of saying "wait".
    const engine = (
      slow.client.io as unknown as { engine: { transport: { ws: { _socket: { pause(): void } } } } }
    ).engine;
    engine.transport.ws._socket.pause();
    const before = truth.events.get(workspaceId)?.length ?? 0;
    for (let n = 0; n < 6_000; n++) truth.addEvent(workspaceId, batchId).data = { id: 'x'.repeat(4_000) };
    await speaker.publish('events.published', { workspaceId, from: before + 1, to: before + 6_000 });
    await eventually('all is told', () => calm.events.length === 6_000);
    const open = () => api.sockets();
    await eventually('it is dropped', () => open() === 1);
    expect(calm.client.connected).toBe(true);
  });
});

interface Told {
  id?: string;
  event?: string;
  data?: { position?: number; subject: string; type: string };
}

/** Reads an event stream as its standard says, until it ends or `enough` are there. */
async function read(path: string, apiKey: string, enough = Infinity, headers: Record<string, string> = {}) {
  const left = new AbortController();
  const response = await fetch(api.url + path, {
    headers: { authorization: `Bearer ${apiKey}`, accept: 'text/event-stream', ...headers },
    signal: left.signal,
  });
  const told: Told[] = [];
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
        ) as Told;
        if (fields.event) told.push(fields);
      }
      if (told.length >= enough) left.abort();
    }
  })().catch((error: unknown) => {
    if (!left.signal.aborted) throw error;
  });
  return { response, told, ended, leave: () => left.abort() };
}

test('the workers: as they stand, then as they change, to each workspace what is its own, and to nobody no longer', async () => {
  const [mine, theirs] = [truth.addKey(), truth.addKey()];
  truth.workers = [{ id: 'a', runs: mine.workspaceId }];
  const follow = async (apiKey: string) => {
    const client = open(apiKey);
    const states: WorkersState[] = [];
    client.on('state', (state) => states.push(state as WorkersState));
    expect(await outcome(client)).toBe('connected');
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
  truth.workers = [{ id: 'b', runs: mine.workspaceId }];
  for (const { states, first } of [here, there]) {
    await eventually(
      'the change is told',
      () => JSON.stringify(states.at(-1)?.data ?? '').includes('"b"'),
      60_000,
    );
    expect(states.at(-1)!.sequence).toBeGreaterThan(first.sequence);
  }
  expect(there.states.at(-1)!.data).toEqual([{ id: 'b', running: [] }]);
  // What does not change is not told again.
  const told = here.states.length;
  const before = truth.looks;
  await eventually('they are looked at again', () => truth.looks > before + 1, 60_000);
  expect(here.states).toHaveLength(told);
  here.client.emit('unsubscribe', { workers: true });
  there.client.disconnect();
  await eventually(
    'nobody follows',
    async () => {
      const seen = truth.looks;
      await pause(1_200);
      return truth.looks === seen;
    },
    60_000,
  );
});

describe('event streams', () => {
  const stamped = (workspaceId: string) => {
    const to = truth.events.get(workspaceId)!.length;
    return speaker.publish('events.published', { workspaceId, from: to, to });
  };

  test('of a batch: its state, its events, newer states, and an end with its own', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const [batchId, other] = [truth.addBatch(workspaceId), truth.addBatch(workspaceId)];
    const stream = await read(`/v1/batches/${batchId}/events`, apiKey);
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    await eventually('its state', () => stream.told.length > 0);
    expect(stream.told[0]).toMatchObject({
      id: '0',
      event: 'state',
      data: { subject: batchId, type: 'batch' },
    });
    truth.advance(batchId, 12);
    speaker.publishUpdate('batch', { batchId });
    await eventually('a newer state', () => stream.told.length === 2);
    truth.addEvent(workspaceId, batchId);
    truth.addEvent(workspaceId, other);
    truth.advance(batchId, 100);
    truth.addEvent(workspaceId, batchId, true);
    await stamped(workspaceId);
    await stream.ended;
    const events = stream.told.filter(({ event }) => event !== 'state');
    expect(events.map(({ id, event, data }) => [id, event, data?.position])).toEqual([
      ['1', 'batch.progress', 1],
      ['3', 'batch.progress', 3],
    ]);
    expect(stream.told.at(-1)).toMatchObject({
      event: 'state',
      data: { data: { request_counts: { completed: 100 } } },
    });

    // Who was cut off goes on after the last event that it was sent; who has all is told to stay away.
    const resumed = await read(`/v1/batches/${batchId}/events`, apiKey, Infinity, { 'last-event-id': '1' });
    await resumed.ended;
    expect(resumed.told.map(({ id, event }) => [id, event])).toEqual([
      ['3', 'batch.progress'],
      [undefined, 'state'],
    ]);
    const over = await read(`/v1/batches/${batchId}/events`, apiKey, Infinity, { 'last-event-id': '3' });
    expect(over.response.status).toBe(204);
  });

  test('of the workspace: what was missed, then what comes, each once; without the header a list in pages', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    for (let n = 0; n < 30; n++) truth.addEvent(workspaceId, batchId);
    const stream = await read('/v1/events?after=10', apiKey, 25);
    await eventually('what was missed', () => stream.told.length === 20);
    for (let n = 0; n < 5; n++) truth.addEvent(workspaceId, batchId);
    await stamped(workspaceId);
    await stream.ended;
    expect(stream.told.map(({ id }) => Number(id))).toEqual(Array.from({ length: 25 }, (_, at) => at + 11));
    const list = await fetch(`${api.url}/v1/events?after=30&limit=3`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    const page = (await list.json()) as { data: EventObject[]; has_more: boolean };
    expect([page.data.map(({ position }) => position), page.has_more]).toEqual([[31, 32, 33], true]);
  });

  test('whoever comes from before what is kept is refused, in the list, the stream and the socket', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    for (let n = 0; n < 9; n++) truth.addEvent(workspaceId, batchId);
    truth.forgotten = 5;
    const refused = await read('/v1/events?after=3', apiKey);
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

  test('one batch’s stream tells its state to whoever comes from before what is kept', async () => {
    const { apiKey, workspaceId } = truth.addKey();
    const batchId = truth.addBatch(workspaceId);
    for (let n = 0; n < 9; n++) truth.addEvent(workspaceId, batchId);
    truth.forgotten = 5;
    const stream = await read(`/v1/batches/${batchId}/events`, apiKey, 1, { 'last-event-id': '3' });
    await stream.ended;
    expect(stream.told).toMatchObject([{ id: '9', event: 'state' }]);
  });

  test('ends when its key is revoked; a stranger’s batch is not found', async () => {
    const [mine, theirs] = [truth.addKey(), truth.addKey()];
    const batchId = truth.addBatch(mine.workspaceId);
    expect((await read(`/v1/batches/${batchId}/events`, theirs.apiKey)).response.status).toBe(404);
    expect((await read('/v1/events', 'nobody')).response.status).toBe(401);
    const stream = await read(`/v1/batches/${batchId}/events`, mine.apiKey);
    await eventually('its state', () => stream.told.length > 0);
    await speaker.publish('key.revoked', { keyId: mine.keyId });
    await stream.ended;
  });
});
