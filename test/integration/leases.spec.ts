import { Database, LeaseStore, type Lease } from '#database';
import { createLogger } from '#telemetry';
import { runElectedJob, type ElectedJob } from '../../apps/api/src/background/leader-election.ts';
import { eventually, pause } from '../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const log = createLogger('test', 'silent');
let server: TestDatabase;
let database: Database;
let leases: LeaseStore;

beforeAll(async () => {
  server = await createDatabase();
  database = await Database.connect({ url: server.url, poolMax: 10, applicationName: 'leases-test' });
  await database.migrate();
  leases = new LeaseStore(database);
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

describe('a lease', () => {
  test('has one holder, however many ask at once, and a higher epoch each time it changes hands', async () => {
    for (let epoch = 1; epoch <= 5; epoch++) {
      const asked = Array.from({ length: 10 }, (_, n) => leases.acquire('contended', `holder ${n}`, 60_000));
      const granted = (await Promise.all(asked)).filter((lease) => lease !== null);
      expect(granted).toHaveLength(1);
      expect(granted[0]).toMatchObject({ name: 'contended', epoch });
      await leases.release(granted[0]!);
    }
  });

  test('is not given away while it is renewed, and is when it runs out', async () => {
    const lease = (await leases.acquire('renewed', 'a', 1_500))!;
    for (let n = 0; n < 4; n++) {
      expect(await leases.renew(lease, 1_500)).toBe(true);
      expect(await leases.acquire('renewed', 'b', 60_000)).toBeNull();
      await pause(500);
    }
    await eventually('it runs out', async () => (await leases.acquire('renewed', 'b', 60_000)) !== null);
    expect(await leases.renew(lease, 1_500)).toBe(false);
  });

  test('once lost is neither renewed nor released by its former holder, not even under the same name', async () => {
    const former = (await leases.acquire('lost', 'a', 1))!;
    await pause(20);
    expect(await leases.renew(former, 60_000)).toBe(false);
    const present = (await leases.acquire('lost', 'a', 60_000))!;
    expect(present.epoch).toBe(former.epoch + 1);
    expect(await leases.renew(former, 60_000)).toBe(false);
    await leases.release(former);
    expect(await leases.renew(present, 60_000)).toBe(true);
  });
});

describe('an elected duty', () => {
  const started: ElectedJob[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((elected) => elected.stop()));
  });

  /** Notes when its duty runs and ends; more than one at a time is a failure. */
  class Office {
    readonly terms: { who: string; epoch: number; endedAt?: number }[] = [];
    running = 0;
    most = 0;

    constructor(private readonly ttlMs = 2_000) {}

    stand(
      name: string,
      who: string,
      deps = leases,
      duty?: (signal: AbortSignal) => Promise<void>,
    ): ElectedJob {
      const elected = runElectedJob({
        name,
        leases: deps,
        ttlMs: this.ttlMs,
        renewMs: 100,
        log,
        run: async (signal, lease: Lease) => {
          const term: Office['terms'][number] = { who, epoch: lease.epoch };
          this.terms.push(term);
          this.most = Math.max(this.most, ++this.running);
          await (duty?.(signal) ??
            new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())));
          this.running--;
          term.endedAt = performance.now();
        },
      });
      started.push(elected);
      return elected;
    }
  }

  test('runs in one place, and elsewhere at once when that one stops in order', async () => {
    const office = new Office(300_000);
    const first = office.stand('order', 'first');
    await eventually('the first', () => office.terms.length === 1);
    office.stand('order', 'second');
    await pause(500);
    expect(office.terms).toMatchObject([{ who: 'first', epoch: 1 }]);
    expect(first.lease).toMatchObject({ name: 'order', epoch: 1 });
    await first.stop();
    expect(first.lease).toBeNull();
    await eventually('the second', () => office.terms.length === 2);
    expect(office.terms[1]).toMatchObject({ who: 'second', epoch: 2 });
    expect(office.most).toBe(1);
  });

  test('that fails or ends by itself gives the lease away and stands again', async () => {
    const office = new Office();
    let runs = 0;
    const elected = runElectedJob({
      name: 'failing',
      leases,
      ttlMs: 60_000,
      renewMs: 20,
      log,
      run: () => {
        runs++;
        throw new Error('broken');
      },
    });
    await eventually('it is tried again', () => runs >= 3);
    await elected.stop();
    office.stand('failing', 'other');
    await eventually('another is let in', () => office.terms.length === 1);
  });

  describe('in a process that loses the database', () => {
    let proxy: TcpProxy;
    let cutOff: Database;

    beforeEach(async () => {
      const url = new URL(server.url);
      proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port || 5432) });
      url.hostname = '127.0.0.1';
      url.port = String(proxy.port);
      cutOff = await Database.connect({ url: url.href, poolMax: 2, applicationName: 'leases-cut-off' });
    });
    afterEach(async () => {
      await proxy.cut();
      await cutOff.close();
    });

    test.each(['cut', 'dropPackets'] as const)('ends before another begins (%s)', async (fault) => {
      const office = new Office();
      const isolated = office.stand(fault, 'isolated', new LeaseStore(cutOff));
      await eventually('the first', () => office.terms.length === 1);
      office.stand(fault, 'other');
      await proxy[fault]();
      await eventually('the other takes over', () => office.terms.length === 2);
      expect(office.terms[0]!.endedAt).toBeLessThan(performance.now());
      expect(office.most).toBe(1);
      // Nor does it wait for ever for an answer that will not come.
      await isolated.stop();
    });
  });
});
