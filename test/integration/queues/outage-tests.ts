/** Conformance: the backend goes away and comes back, and everything resumes by itself. */
import { inspect } from 'node:util';
import { newId } from '@millrace/contracts';
import { Unavailable } from '#domain';
import { jobIdOf, type BackendAddress, type Queues } from '#queues';
import { QueueHarness, eventually, type BackendUnderTest } from './queue-harness.ts';

export function outageTests(under: () => BackendUnderTest): void {
  describe('enduring', () => {
    let bench: QueueHarness;
    beforeEach(() => {
      bench = new QueueHarness();
    });
    afterEach(() => bench.close());

    const chunks = (from: number, count: number, batchId = newId('batch')) =>
      Array.from({ length: count }, (_, at) => ({ payload: { batchId, chunk: from + at, generation: 1 } }));

    /** Every call says `Unavailable` in time, and nothing hangs. */
    async function expectUnavailable(queues: Queues): Promise<void> {
      const [job] = chunks(0, 1);
      const calls = [
        () => queues.ping(),
        () => queues.add('batch', bench.pool, [job!]),
        () => queues.findMissing('batch', bench.pool, [jobIdOf('batch', job!.payload)]),
        () => queues.getCounts('batch', bench.pool),
      ];
      for (const call of calls) {
        const askedAt = performance.now();
        await expect(call()).rejects.toThrow(Unavailable);
        expect(performance.now() - askedAt).toBeLessThan(10_000);
      }
    }

    test('the backend restarts: nothing added is lost, all say so meanwhile, all resume by themselves', async () => {
      const queues = bench.connect(under().address);
      const host = bench.connect(under().address);
      const ran = new Set<number>();
      const batchId = newId('batch');
      let slow = true;
      bench.startHost(host, {
        batch: async (payload) => {
          if (slow) await new Promise((resolve) => setTimeout(resolve, 100));
          if (payload.batchId === batchId) ran.add(payload.chunk);
        },
      });
      await queues.add('batch', bench.pool, chunks(0, 200, batchId));
      await eventually('under way', 30_000, () => ran.size > 10);
      await under().restart(5_000, () => expectUnavailable(queues));
      slow = false;
      await eventually('the producer is back', 30_000, () =>
        queues.ping().then(
          () => true,
          () => false,
        ),
      );
      await queues.add('batch', bench.pool, chunks(200, 1_200, batchId));
      await eventually('all run', 30_000, () => ran.size === 1_400);
    });

    test('what is started while the backend is down works once it is up', async () => {
      let ran = 0;
      let queues: Queues | undefined;
      await under().restart(2_000, async () => {
        queues = bench.connect(under().address);
        const host = bench.startHost(queues, { batch: async () => void ran++ });
        await expect(queues.ping()).rejects.toThrow(Unavailable);
        expect(host.getHealth().queues[0]).toMatchObject({ queue: 'batch', replaced: 0 });
      });
      await eventually('added', 30_000, () =>
        queues!.add('batch', bench.pool, chunks(0, 1)).then(
          () => true,
          () => false,
        ),
      );
      await eventually('run', 30_000, () => ran === 1);
    });

    test('packets vanish: unhealthy within 60 s, and consuming within 25 s of their passing again', async () => {
      const queues = bench.connect(under().address);
      const batchId = newId('batch');
      // What was refused for want of an answer may have arrived all the same: only this batch counts.
      const ran = new Set<number>();
      const host = bench.startHost(queues, {
        batch: async (payload) => void (payload.batchId === batchId && ran.add(payload.chunk)),
      });
      await queues.add('batch', bench.pool, chunks(0, 1, batchId));
      await eventually('run', 30_000, () => ran.has(0));
      expect(host.getHealth().healthy).toBe(true);
      under().dropPackets();
      const silentAt = performance.now();
      await expectUnavailable(queues);
      await eventually('seen as unhealthy', 60_000, () => !host.getHealth().healthy);
      // A worker that only waits for a job must not be called unhealthy for it.
      expect(performance.now() - silentAt).toBeGreaterThan(15_000);
      under().passNewConnections();
      const direct = bench.connect(under().direct);
      await direct.add('batch', bench.pool, chunks(1, 1, batchId));
      await eventually('run', 30_000, () => ran.has(1));
      await eventually('healthy', 30_000, () => host.getHealth().healthy);
      await eventually('the producer is back', 30_000, () =>
        queues.ping().then(
          () => true,
          () => false,
        ),
      );
    });

    test('a worker that stopped asking for work, beside a backend that answers, is replaced', async () => {
      const queues = bench.connect(under().address) as Queues & {
        backend: { factory: (...args: never[]) => Claiming };
      };
      let deaf = false;
      let skew = 0;
      const { factory } = queues.backend;
      queues.backend.factory = (...args) => {
        const made = factory(...args);
        const claim = made.moveToActive.bind(made);
        // The first generation hangs in a claim, as on a connection that nobody ends.
        made.moveToActive = (...claiming) => (deaf ? new Promise(() => undefined) : claim(...claiming));
        return made;
      };
      let ran = 0;
      const host = bench.startHost(queues, { batch: async () => void ran++ }, 4, {
        now: () => Date.now() + skew,
      });
      await queues.add('batch', bench.pool, chunks(0, 1));
      await eventually('run', 30_000, () => ran === 1);
      deaf = true;
      await queues.add('batch', bench.pool, chunks(1, 1));
      await new Promise((resolve) => setTimeout(resolve, 500));
      skew = 31_000;
      expect(host.getHealth().healthy).toBe(false);
      await eventually('about to be replaced', 30_000, () => host.getHealth().queues[0]!.replacements > 0);
      expect(host.getHealth().healthy).toBe(false);
      deaf = false;
      await eventually('replaced by one that works', 45_000, () => ran === 2);
      await eventually('healthy', 30_000, () => host.getHealth().healthy);
      expect(bench.logLines.join('')).toContain('gone deaf');
    });

    test('neither a log line nor an error says the password', async () => {
      const password = 'grist-and-flour-4711';
      const address = withPassword(under().direct, password);
      const queues = bench.connect(address);
      bench.startHost(queues, { batch: async () => undefined });
      const failure = await queues.ping().then(
        () => null,
        (error: unknown) => error,
      );
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(failure).toBeInstanceOf(Unavailable);
      expect(inspect(failure, { depth: 9 })).not.toContain(password);
      expect(bench.logLines.length).toBeGreaterThan(0);
      expect(bench.logLines.join('')).not.toContain(password);
    });
  });
}

interface Claiming {
  moveToActive(token: string, name?: string): Promise<unknown[]>;
}

/** The same server's address with a password, at a port where nobody listens. */
function withPassword(address: BackendAddress, password: string): BackendAddress {
  const url = new URL(address.url);
  url.password = password;
  url.port = '1';
  return { ...address, url: url.href };
}
