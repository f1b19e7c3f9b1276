/** What every adapter of the bus must do; each adapter's spec runs all of it. */
import { newId } from '@millrace/contracts';
import { connectBus, type Bus, type BusBackend, type StreamItem } from '#realtime';
import { createLogger } from '#telemetry';
import { eventually, pause } from '../../support/eventually.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';

export interface BusBackendUnderTest {
  readonly backend: BusBackend;
  /** Cuts the connections of the bus of this name that listen; it may reconnect at once. */
  cutListener(name: string): Promise<void>;
  /** Cuts the connections of the bus of this name that publish. */
  cutPublisher(name: string): Promise<void>;
  /** Takes the backend away from everybody, as if killed, until `restore`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Puts rubbish on the wire, where the batch signal would arrive. */
  sendInvalidMessage(): Promise<void>;
  close(): Promise<void>;
}

const log = createLogger('test', 'silent');
type Delta = Extract<StreamItem, { kind: 'delta' }>;
const pickDeltas = (items: StreamItem[]) => items.filter((item): item is Delta => item.kind === 'delta');
const ignoreResync = () => {};

export function busConformance(setUp: () => Promise<BusBackendUnderTest>): void {
  let rig: BusBackendUnderTest;
  let here: Bus;
  let there: Bus;

  beforeAll(async () => {
    rig = await setUp();
  });
  afterAll(() => rig.close());
  beforeEach(async () => {
    here = await connectBus(rig.backend, { log, name: 'bus-here' });
    there = await connectBus(rig.backend, { log, name: 'bus-there' });
  });
  afterEach(() => Promise.all([here.close(), there.close()]));

  async function reading(bus: Bus, subject: string) {
    const items: StreamItem[] = [];
    const stop = await bus.subscribeStream(subject, (item) => items.push(item));
    return { items, stop, deltas: () => pickDeltas(items) };
  }

  test('an announcement reaches every process, the speaker too', async () => {
    const heard: string[] = [];
    await here.subscribe('batch.closing', ({ batchId }) => heard.push(`here ${batchId}`), ignoreResync);
    await there.subscribe('batch.closing', ({ batchId }) => heard.push(`there ${batchId}`), ignoreResync);
    const batchId = newId('batch');
    expect(await there.publish('batch.closing', { batchId })).toBe(true);
    await eventually('both heard it', () => heard.length === 2);
    expect(heard.sort()).toEqual([`here ${batchId}`, `there ${batchId}`]);
  });

  test('topics do not mix', async () => {
    const heard: string[] = [];
    await here.subscribe('batch.closing', () => heard.push('cancel'), ignoreResync);
    await here.subscribe('chunk.done', () => heard.push('done'), ignoreResync);
    await there.publish('batch.planned', { batchId: newId('batch') });
    await there.publish('chunk.done', { batchId: newId('batch') });
    await eventually('one is heard', () => heard.length > 0);
    expect(heard).toEqual(['done']);
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

  test('many subjects: each keeps its order and gets nothing of another', async () => {
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
  ])('a payload of %s arrives whole, between its neighbours', async (_, text) => {
    const { deltas } = await reading(here, 'large');
    const writer = there.openStream('large', 1);
    for (const delta of ['before', text, 'after']) writer.send(delta);
    await eventually('three deltas', () => deltas().length === 3);
    expect(deltas().map(({ delta }) => delta)).toEqual(['before', text, 'after']);
  });

  test('what is larger than a megabyte is refused, and shows as a gap', async () => {
    const { items } = await reading(here, 'too-large');
    const writer = there.openStream('too-large', 1);
    writer.send('z'.repeat(1_100_000));
    writer.send('small');
    await eventually('what follows', () => items.length >= 2);
    expect(items.slice(0, 2)).toMatchObject([
      { kind: 'gap', from: 1, to: 1 },
      { kind: 'delta', number: 2 },
    ]);
  });

  test('a flood that the backend can not take is refused, not kept, and its readers are told', async () => {
    const { items, deltas } = await reading(here, 'flood');
    const writer = there.openStream('flood', 1);
    const delta = 'f'.repeat(500_000);
    for (let n = 0; n < 60; n++) writer.send(delta);
    await eventually('what was taken', () => deltas().length > 20);
    await pause(150);
    await there.publish('facts.written', {});
    await eventually('the loss is told', () => items.some(({ kind }) => kind === 'resync'));
    writer.end();
    await eventually('the end', () => items.at(-1)?.kind === 'end');
    expect(items.at(-2)).toMatchObject({ kind: 'gap', to: 60 });
  });

  test('signals: of a burst the first and the newest arrive, subjects apart', async () => {
    const heard: string[] = [];
    await here.subscribeUpdates('batch', ({ batchId }) => heard.push(batchId));
    const [busy, calm] = [newId('batch'), newId('batch')];
    const began = performance.now();
    while (performance.now() - began < 500) {
      for (let n = 0; n < 20; n++) there.publishUpdate('batch', { batchId: busy });
      await pause(5);
    }
    there.publishUpdate('batch', { batchId: calm });
    await eventually('the calm one', () => heard.includes(calm));
    await pause(250);
    const count = heard.filter((batchId) => batchId === busy).length;
    expect(count).toBeGreaterThanOrEqual(2);
    expect(count).toBeLessThanOrEqual(10);
  });

  test('a signal that waits is sent before the bus closes', async () => {
    const heard: string[] = [];
    await here.subscribeUpdates('batch', ({ batchId }) => heard.push(batchId));
    const speaker = await connectBus(rig.backend, { log });
    const batchId = newId('batch');
    speaker.publishUpdate('batch', { batchId });
    speaker.publishUpdate('batch', { batchId });
    await speaker.close();
    await eventually('both', () => heard.length === 2);
  });

  test('after unsubscribing nothing comes, and other listeners still hear', async () => {
    const heard: string[] = [];
    const stopFirst = await here.subscribe('facts.written', () => heard.push('first'), ignoreResync);
    const stopSecond = await here.subscribe('facts.written', () => heard.push('second'), ignoreResync);
    await stopFirst();
    await there.publish('facts.written', {});
    await eventually('the second hears', () => heard.length > 0);
    await stopSecond();
    await stopSecond();
    await there.publish('facts.written', {});
    const stopThird = await here.subscribe('facts.written', () => heard.push('third'), ignoreResync);
    await there.publish('facts.written', {});
    await eventually('the third hears', () => heard.includes('third'));
    await stopThird();
    expect(heard).toEqual(['second', 'third']);
  });

  test("a listener's error and rubbish on the wire stop nobody", async () => {
    const heard: string[] = [];
    await here.subscribeUpdates('batch', () => {
      throw new Error('mine');
    });
    await here.subscribeUpdates('batch', ({ batchId }) => heard.push(batchId));
    await rig.sendInvalidMessage();
    there.publishUpdate('batch', { batchId: newId('batch') });
    await eventually('the other listener hears', () => heard.length === 1);
  });

  test('a reader that lost its connection is told each gap, and reads on', async () => {
    const { items } = await reading(here, 'gap');
    const writer = there.openStream('gap', 1);
    let sent = 0;
    const writing = setInterval(() => (sent = writer.send('delta')), 2);
    try {
      await eventually('deltas flow', () => items.length > 20);
      await rig.cutListener('bus-here');
      await eventually('the loss is told', () => items.some(({ kind }) => kind === 'resync'));
      await eventually('the gap is told', () => items.some(({ kind }) => kind === 'gap'));
      const seen = items.length;
      await eventually('deltas flow again', () => items.length > seen + 20);
    } finally {
      clearInterval(writing);
    }
    writer.end();
    await eventually('the end', () => items.at(-1)?.kind === 'end');
    // Deltas and gaps together are 1, 2, 3 … with nothing left out and nothing twice.
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

  test('when only the speaker was cut off, listeners hear that they missed something', async () => {
    let resynced = 0;
    const heard: string[] = [];
    await here.subscribe(
      'facts.stamped',
      ({ workspaceId }) => heard.push(workspaceId),
      () => resynced++,
    );
    const workspaceId = newId('workspace');
    await rig.cutPublisher('bus-there');
    await eventually('an announcement is refused', async () => {
      return !(await there.publish('facts.stamped', { workspaceId, from: 1, to: 1 }));
    });
    await eventually('the listener is told', () => resynced > 0);
    await eventually('announcements go again', () =>
      there.publish('facts.stamped', { workspaceId, from: 1, to: 1 }),
    );
  });

  test('an outage: nobody is thrown at, everybody comes back and is told', async () => {
    let resynced = 0;
    const heard: string[] = [];
    const note = ({ batchId }: { batchId: string }) => void heard.push(batchId);
    await here.subscribe('batch.closing', note, () => resynced++);
    await rig.stop();
    const [lost, found] = [newId('batch'), newId('batch')];
    let late;
    try {
      await eventually(
        'the loss is noticed',
        async () => !(await there.publish('batch.closing', { batchId: lost })),
      );
      await eventually('ping says so', () =>
        here.ping().then(
          () => false,
          ({ code }: { code: string }) => code === 'bus_unavailable',
        ),
      );
      there.publishUpdate('batch', { batchId: lost });
      there.openStream('outage', 1).send('lost');
      late = here.subscribe('chunk.done', note, ignoreResync);
      await expect(connectBus(rig.backend, { log })).rejects.toMatchObject({ code: 'bus_unavailable' });
    } finally {
      await rig.start();
    }
    await eventually('the listener is told', () => resynced > 0);
    await late;
    await eventually(
      'announcements go again',
      () => there.publish('batch.closing', { batchId: found }),
      15_000,
    );
    await eventually('and arrive', () => heard.includes(found));
    await there.publish('chunk.done', { batchId: found });
    await eventually(
      'on what was subscribed to meanwhile too',
      () => heard.filter((id) => id === found).length >= 2,
    );
    const answers = (bus: Bus) =>
      bus.ping().then(
        () => true,
        () => false,
      );
    await eventually('both answer', async () => (await answers(here)) && (await answers(there)));
  });

  test('packets that vanish: the connection is given up, and a new one found', async () => {
    const url = new URL(rig.backend.url);
    const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
    [url.hostname, url.port] = ['127.0.0.1', String(proxy.port)];
    const behind = await connectBus({ ...rig.backend, url: url.href }, { log, heartbeatMs: 300 });
    try {
      let resynced = 0;
      const heard: string[] = [];
      const note = ({ batchId }: { batchId: string }) => void heard.push(batchId);
      await behind.subscribe('batch.closing', note, () => resynced++);
      proxy.dropPackets();
      await pause(100);
      proxy.passNewConnections();
      await eventually('the loss is told', () => resynced > 0);
      const batchId = newId('batch');
      await eventually('it hears again', async () => {
        await here.publish('batch.closing', { batchId });
        return heard.includes(batchId);
      });
      await eventually('and speaks again', () => behind.publish('batch.closing', { batchId }));
    } finally {
      await behind.close();
      await proxy.close();
    }
  });

  test('closing twice, and speaking afterwards, harms nobody', async () => {
    const bus = await connectBus(rig.backend, { log });
    await bus.close();
    await bus.close();
    expect(await bus.publish('facts.written', {})).toBe(false);
    bus.publishUpdate('batch', { batchId: newId('batch') });
    await expect(bus.subscribe('facts.written', () => {}, ignoreResync)).rejects.toMatchObject({
      code: 'bus_unavailable',
    });
  });
}
