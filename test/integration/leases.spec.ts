import { waitForAbort } from '#async';
import { Database, LeaseStore, type Lease } from '#database';
import { createLogger } from '#telemetry';
import { runElectedJob, type ElectedJob } from '../../apps/api/src/background/leader-election.ts';
import { eventually, pause } from '../support/eventually.ts';
import { createMigratedDatabase } from '../support/migrated-database.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const log = createLogger('test', 'silent');
let server: TestDatabase;
let database: Database;
let leases: LeaseStore;

beforeAll(async () => {
  server = await createMigratedDatabase();
  database = await Database.connect({ url: server.url, poolMax: 10, applicationName: 'leases-test' });
  leases = new LeaseStore(database);
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

describe('a lease', () => {
  test('has one holder, even with concurrent requests, and a higher epoch each time it is acquired', async () => {
    for (let epoch = 1; epoch <= 5; epoch++) {
      const requests = Array.from({ length: 10 }, (_, n) =>
        leases.acquire('contended', `holder ${n}`, 60_000),
      );
      const granted = (await Promise.all(requests)).filter((lease) => lease !== null);
      expect(granted).toHaveLength(1);
      expect(granted[0]).toMatchObject({ name: 'contended', epoch });
      await leases.release(granted[0]!);
    }
  });

  test('cannot be acquired by another holder while it is renewed, but can after it has expired', async () => {
    const lease = (await leases.acquire('renewed', 'a', 1_500))!;
    for (let n = 0; n < 4; n++) {
      expect(await leases.renew(lease, 1_500)).toBe(true);
      expect(await leases.acquire('renewed', 'b', 60_000)).toBeNull();
      await pause(500);
    }
    await eventually('it expires', async () => (await leases.acquire('renewed', 'b', 60_000)) !== null);
    expect(await leases.renew(lease, 1_500)).toBe(false);
  });

  test('that has expired is neither renewed nor released by its former holder, even if that holds it again', async () => {
    const expired = (await leases.acquire('lost', 'a', 1))!;
    await pause(20);
    expect(await leases.renew(expired, 60_000)).toBe(false);
    const current = (await leases.acquire('lost', 'a', 60_000))!;
    expect(current.epoch).toBe(expired.epoch + 1);
    expect(await leases.renew(expired, 60_000)).toBe(false);
    await leases.release(expired);
    expect(await leases.renew(current, 60_000)).toBe(true);
  });
});

describe('an elected job', () => {
  const started: ElectedJob[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((elected) => elected.stop()));
  });

  /** Records when its job runs and ends, and how many ran at once: more than one is a failure. */
  class Election {
    readonly terms: { who: string; epoch: number; endedAt?: number }[] = [];
    running = 0;
    maxRunning = 0;

    constructor(private readonly ttlMs = 2_000) {}

    join(
      name: string,
      who: string,
      store = leases,
      job?: (signal: AbortSignal) => Promise<void>,
    ): ElectedJob {
      const elected = runElectedJob({
        name,
        leases: store,
        ttlMs: this.ttlMs,
        renewMs: 100,
        log,
        run: async (signal, lease: Lease) => {
          const term: Election['terms'][number] = { who, epoch: lease.epoch };
          this.terms.push(term);
          this.maxRunning = Math.max(this.maxRunning, ++this.running);
          await (job?.(signal) ?? waitForAbort(signal));
          this.running--;
          term.endedAt = performance.now();
        },
      });
      started.push(elected);
      return elected;
    }
  }

  test('runs in one process, and in another at once when that one stops', async () => {
    const election = new Election(300_000);
    const first = election.join('order', 'first');
    await eventually('the first', () => election.terms.length === 1);
    election.join('order', 'second');
    await pause(500);
    expect(election.terms).toMatchObject([{ who: 'first', epoch: 1 }]);
    expect(first.lease).toMatchObject({ name: 'order', epoch: 1 });
    await first.stop();
    expect(first.lease).toBeNull();
    await eventually('the second', () => election.terms.length === 2);
    expect(election.terms[1]).toMatchObject({ who: 'second', epoch: 2 });
    expect(election.maxRunning).toBe(1);
  });

  test('that fails or ends by itself releases the lease and runs for it again', async () => {
    const election = new Election();
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
    await eventually('it runs again', () => runs >= 3);
    await elected.stop();
    election.join('failing', 'other');
    await eventually('another acquires the lease', () => election.terms.length === 1);
  });

  describe('in a process whose database connection fails', () => {
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

    test.each(['cut', 'dropPackets'] as const)('ends before another starts (%s)', async (fault) => {
      const election = new Election();
      const isolated = election.join(fault, 'isolated', new LeaseStore(cutOff));
      await eventually('the first', () => election.terms.length === 1);
      election.join(fault, 'other');
      await proxy[fault]();
      await eventually('the other takes over', () => election.terms.length === 2);
      expect(election.terms[0]!.endedAt).toBeLessThan(performance.now());
      expect(election.maxRunning).toBe(1);
      // Stopping does not wait forever for an answer that will not come.
      await isolated.stop();
    });
  });
});
