/** Conformance suite of a bus backend. The spec of each backend runs it. */
import { createId } from '@millrace/contracts';
import { connectBus, type Bus, type BusBackend, type StreamItem } from '#realtime';
import { createLogger } from '#telemetry';
import { eventually, pause } from '../../support/eventually.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';

export interface BusBackendUnderTest {
  readonly address: BusBackend;
  /** Cuts the subscriber's connection of the bus with this name. It may reconnect at once. */
  cutListener(name: string): Promise<void>;
  /** Cuts the publisher's connection of the bus with this name. */
  cutPublisher(name: string): Promise<void>;
  /** Stops the backend for all processes, as if killed, until `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Sends invalid messages on the channel of batch updates. */
  sendInvalidMessage(): Promise<void>;
  close(): Promise<void>;
}

const log = createLogger('test', 'silent');
type Delta = Extract<StreamItem, { kind: 'delta' }>;
const pickDeltas = (items: StreamItem[]) => items.filter((item): item is Delta => item.kind === 'delta');
const ignoreResync = () => {};

export function busConformance(setUp: () => Promise<BusBackendUnderTest>): void {
  let backend: BusBackendUnderTest;
  let here: Bus;
  let there: Bus;

  beforeAll(async () => {
    backend = await setUp();
  });
  afterAll(() => backend.close());
  beforeEach(async () => {
    here = await connectBus(backend.address, { log, name: 'bus-here' });
    there = await connectBus(backend.address, { log, name: 'bus-there' });
  });
  afterEach(() => Promise.all([here.close(), there.close()]));

  async function reading(bus: Bus, subject: string) {
    const items: StreamItem[] = [];
    const stop = await bus.subscribeStream(subject, (item) => items.push(item));
    return { items, stop, deltas: () => pickDeltas(items) };
  }

  test('a message reaches every process, the publisher too', async () => {
    const received: string[] = [];
    await here.subscribe('batch.closing', ({ batchId }) => received.push(`here ${batchId}`), ignoreResync);
    await there.subscribe('batch.closing', ({ batchId }) => received.push(`there ${batchId}`), ignoreResync);
    const batchId = createId('batch');
    expect(await there.publish('batch.closing', { batchId })).toBe(true);
    await eventually('both received it', () => received.length === 2);
    expect(received.sort()).toEqual([`here ${batchId}`, `there ${batchId}`]);
  });

  test('a subscriber receives its own topic only', async () => {
    const received: string[] = [];
    await here.subscribe('batch.closing', () => received.push('cancel'), ignoreResync);
    await here.subscribe('chunk.done', () => received.push('done'), ignoreResync);
    await there.publish('batch.planned', { batchId: createId('batch') });
    await there.publish('chunk.done', { batchId: createId('batch') });
    await eventually('one is received', () => received.length > 0);
    expect(received).toEqual(['done']);
  });

  test('load: 20,000 deltas of one stream arrive, in order', async () => {
    const { items, deltas } = await reading(here, 'load');
    const writer = there.openStream('load', 1);
    for (let n = 1; n <= 20_000; n++) {
      writer.send({ token: n });
      if (n % 500 === 0) await pause(0);
    }
    writer.end();
    await eventually('the end', () => items.at(-1)?.kind === 'end', 30_000);
    expect(items).toHaveLength(20_001);
    expect(
      deltas().every(
        ({ number, delta }, index) => number === index + 1 && (delta as { token: number }).token === number,
      ),
    ).toBe(true);
  });

  test('with many subjects, each stream keeps its order and receives nothing of another', async () => {
    const subjects = Array.from({ length: 200 }, (_, n) => `task-${n}`);
    const readers = await Promise.all(subjects.map((subject) => reading(here, subject)));
    const writers = subjects.map((subject) => there.openStream(subject, 1));
    for (let n = 1; n <= 50; n++)
      for (const [index, writer] of writers.entries()) writer.send(`${subjects[index]} ${n}`);
    for (const writer of writers) writer.end();
    await eventually('every end', () => readers.every(({ items }) => items.at(-1)?.kind === 'end'));
    for (const [index, { items, deltas }] of readers.entries()) {
      expect(items).toHaveLength(51);
      expect(deltas().map(({ delta }) => delta)).toEqual(
        Array.from({ length: 50 }, (_, n) => `${subjects[index]} ${n + 1}`),
      );
    }
  });

  test.each([
    ['9 kB', 'x'.repeat(9_000)],
    ['200 kB of 2-, 3- and 4-byte characters', 'é€🜂a'.repeat(20_000)],
    ['NUL, quotes, lone surrogates', `\u0000"'\\\u2028\ud800 \udfff`.repeat(2_000)],
    ['900 kB', 'y'.repeat(900_000)],
  ])('a payload of %s arrives unchanged and in order', async (_, text) => {
    const { deltas } = await reading(here, 'large');
    const writer = there.openStream('large', 1);
    for (const delta of ['before', text, 'after']) writer.send(delta);
    await eventually('three deltas', () => deltas().length === 3);
    expect(deltas().map(({ delta }) => delta)).toEqual(['before', text, 'after']);
  });

  test('a delta larger than a megabyte is rejected and shows as a gap', async () => {
    const { items } = await reading(here, 'too-large');
    const writer = there.openStream('too-large', 1);
    writer.send('z'.repeat(1_100_000));
    writer.send('small');
    await eventually('the next delta', () => items.length >= 2);
    expect(items.slice(0, 2)).toMatchObject([
      { kind: 'gap', from: 1, to: 1 },
      { kind: 'delta', number: 2 },
    ]);
  });

  test('more data than the backend accepts is rejected, and its readers get a resync', async () => {
    const { items, deltas } = await reading(here, 'flood');
    const writer = there.openStream('flood', 1);
    const delta = 'f'.repeat(500_000);
    for (let n = 0; n < 60; n++) writer.send(delta);
    await eventually('the accepted deltas', () => deltas().length > 20);
    await pause(150);
    await there.publish('events.committed', {});
    await eventually('a resync', () => items.some(({ kind }) => kind === 'resync'));
    writer.end();
    await eventually('the end', () => items.at(-1)?.kind === 'end');
    expect(items.at(-2)).toMatchObject({ kind: 'gap', to: 60 });
  });

  test('of a burst of updates the first and the newest arrive, for each subject', async () => {
    const received: string[] = [];
    await here.subscribeUpdates('batch', ({ batchId }) => received.push(batchId));
    const [busy, calm] = [createId('batch'), createId('batch')];
    const startedAt = performance.now();
    while (performance.now() - startedAt < 500) {
      for (let n = 0; n < 20; n++) there.publishUpdate('batch', { batchId: busy });
      await pause(5);
    }
    there.publishUpdate('batch', { batchId: calm });
    await eventually('the update of the calm subject', () => received.includes(calm));
    await pause(250);
    const count = received.filter((batchId) => batchId === busy).length;
    expect(count).toBeGreaterThanOrEqual(2);
    expect(count).toBeLessThanOrEqual(10);
  });

  test('a pending update is sent before the bus closes', async () => {
    const received: string[] = [];
    await here.subscribeUpdates('batch', ({ batchId }) => received.push(batchId));
    const publisher = await connectBus(backend.address, { log });
    const batchId = createId('batch');
    publisher.publishUpdate('batch', { batchId });
    publisher.publishUpdate('batch', { batchId });
    await publisher.close();
    await eventually('both', () => received.length === 2);
  });

  test('after unsubscribing a handler receives nothing, and other subscribers still do', async () => {
    const received: string[] = [];
    const unsubscribeFirst = await here.subscribe(
      'events.committed',
      () => received.push('first'),
      ignoreResync,
    );
    const unsubscribeSecond = await here.subscribe(
      'events.committed',
      () => received.push('second'),
      ignoreResync,
    );
    await unsubscribeFirst();
    await there.publish('events.committed', {});
    await eventually('the second receives it', () => received.length > 0);
    await unsubscribeSecond();
    await unsubscribeSecond();
    await there.publish('events.committed', {});
    const unsubscribeThird = await here.subscribe(
      'events.committed',
      () => received.push('third'),
      ignoreResync,
    );
    await there.publish('events.committed', {});
    await eventually('the third receives it', () => received.includes('third'));
    await unsubscribeThird();
    expect(received).toEqual(['second', 'third']);
  });

  test('an error of one subscriber and invalid messages do not stop other subscribers', async () => {
    const received: string[] = [];
    await here.subscribeUpdates('batch', () => {
      throw new Error('thrown by a subscriber');
    });
    await here.subscribeUpdates('batch', ({ batchId }) => received.push(batchId));
    await backend.sendInvalidMessage();
    there.publishUpdate('batch', { batchId: createId('batch') });
    await eventually('the other subscriber receives it', () => received.length === 1);
  });

  test('a reader that lost its connection gets every gap, and continues', async () => {
    const { items } = await reading(here, 'gap');
    const writer = there.openStream('gap', 1);
    let sent = 0;
    const writing = setInterval(() => (sent = writer.send('delta')), 2);
    try {
      await eventually('deltas flow', () => items.length > 20);
      await backend.cutListener('bus-here');
      await eventually('a resync', () => items.some(({ kind }) => kind === 'resync'));
      await eventually('a gap', () => items.some(({ kind }) => kind === 'gap'));
      const seen = items.length;
      await eventually('deltas flow again', () => items.length > seen + 20);
    } finally {
      clearInterval(writing);
    }
    writer.end();
    await eventually('the end', () => items.at(-1)?.kind === 'end');
    // Deltas and gaps together are 1, 2, 3 …, without a missing or repeated number.
    let next = 1;
    for (const item of items) {
      if (item.kind === 'delta') expect(item.number).toBe(next++);
      if (item.kind === 'gap') {
        expect(item.from).toBe(next);
        next = item.to + 1;
      }
    }
    expect(next).toBe(sent + 1);
  });

  test('when the publisher was disconnected, subscribers get a resync', async () => {
    let resynced = 0;
    const received: string[] = [];
    await here.subscribe(
      'events.published',
      ({ workspaceId }) => received.push(workspaceId),
      () => resynced++,
    );
    const workspaceId = createId('workspace');
    await backend.cutPublisher('bus-there');
    await eventually('a message is rejected', async () => {
      return !(await there.publish('events.published', { workspaceId, from: 1, to: 1 }));
    });
    await eventually('a resync', () => resynced > 0);
    await eventually('a message is accepted again', () =>
      there.publish('events.published', { workspaceId, from: 1, to: 1 }),
    );
  });

  test('after an outage, both sides reconnect, subscribers get a resync, and no call throws', async () => {
    let resynced = 0;
    const received: string[] = [];
    const note = ({ batchId }: { batchId: string }) => void received.push(batchId);
    await here.subscribe('batch.closing', note, () => resynced++);
    await backend.stop();
    const [lost, found] = [createId('batch'), createId('batch')];
    let late;
    try {
      await eventually(
        'a message is rejected',
        async () => !(await there.publish('batch.closing', { batchId: lost })),
      );
      await eventually('ping rejects', () =>
        here.ping().then(
          () => false,
          ({ code }: { code: string }) => code === 'bus_unavailable',
        ),
      );
      there.publishUpdate('batch', { batchId: lost });
      there.openStream('outage', 1).send('lost');
      late = here.subscribe('chunk.done', note, ignoreResync);
      await expect(connectBus(backend.address, { log })).rejects.toMatchObject({ code: 'bus_unavailable' });
    } finally {
      await backend.start();
    }
    await eventually('a resync', () => resynced > 0);
    await late;
    await eventually(
      'a message is accepted again',
      () => there.publish('batch.closing', { batchId: found }),
      15_000,
    );
    await eventually('the message arrives', () => received.includes(found));
    await there.publish('chunk.done', { batchId: found });
    await eventually(
      'a message arrives at the subscription made during the outage',
      () => received.filter((id) => id === found).length >= 2,
    );
    const isAnswering = (bus: Bus) =>
      bus.ping().then(
        () => true,
        () => false,
      );
    await eventually('both answer', async () => (await isAnswering(here)) && (await isAnswering(there)));
  });

  test('when packets are dropped, the bus closes its connection and opens a new one', async () => {
    const url = new URL(backend.address.url);
    const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
    [url.hostname, url.port] = ['127.0.0.1', String(proxy.port)];
    const proxied = await connectBus({ ...backend.address, url: url.href }, { log, heartbeatMs: 300 });
    try {
      let resynced = 0;
      const received: string[] = [];
      const note = ({ batchId }: { batchId: string }) => void received.push(batchId);
      await proxied.subscribe('batch.closing', note, () => resynced++);
      proxy.dropPackets();
      await pause(100);
      proxy.passNewConnections();
      await eventually('a resync', () => resynced > 0);
      const batchId = createId('batch');
      await eventually('it receives messages again', async () => {
        await here.publish('batch.closing', { batchId });
        return received.includes(batchId);
      });
      await eventually('it publishes again', () => proxied.publish('batch.closing', { batchId }));
    } finally {
      await proxied.close();
      await proxy.close();
    }
  });

  test('a closed bus can be closed again, and rejects messages and subscriptions', async () => {
    const bus = await connectBus(backend.address, { log });
    await bus.close();
    await bus.close();
    expect(await bus.publish('events.committed', {})).toBe(false);
    bus.publishUpdate('batch', { batchId: createId('batch') });
    await expect(bus.subscribe('events.committed', () => {}, ignoreResync)).rejects.toMatchObject({
      code: 'bus_unavailable',
    });
  });
}
