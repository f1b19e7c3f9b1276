/** Conformance: after an outage of the backend, producers and workers resume without help. */
import { inspect } from 'node:util';
import { createId } from '@millrace/contracts';
import { Unavailable } from '#domain';
import { buildJobId, type BackendAddress, type Queues } from '#queues';
import { QueueHarness, eventually, type BackendUnderTest } from './queue-harness.ts';

export function outageTests(getBackend: () => BackendUnderTest): void {
  describe('outages', () => {
    let harness: QueueHarness;
    beforeEach(() => {
      harness = new QueueHarness();
    });
    afterEach(() => harness.close());

    const chunks = (from: number, count: number, batchId = createId('batch')) =>
      Array.from({ length: count }, (_, at) => ({ payload: { batchId, chunk: from + at, generation: 1 } }));

    /** Every call throws `Unavailable` in time. */
    async function expectUnavailable(queues: Queues): Promise<void> {
      const [job] = chunks(0, 1);
      const calls = [
        () => queues.ping(),
        () => queues.add('batch', harness.pool, [job!]),
        () => queues.findMissing('batch', harness.pool, [buildJobId('batch', job!.payload)]),
        () => queues.getCounts('batch', harness.pool),
      ];
      for (const call of calls) {
        const calledAt = performance.now();
        await expect(call()).rejects.toThrow(Unavailable);
        expect(performance.now() - calledAt).toBeLessThan(10_000);
      }
    }

    test('while the backend restarts, calls throw Unavailable, no job is lost, and all resume afterwards', async () => {
      const queues = harness.connect(getBackend().address);
      const host = harness.connect(getBackend().address);
      const ran = new Set<number>();
      const batchId = createId('batch');
      let slow = true;
      harness.startHost(host, {
        batch: async (payload) => {
          if (slow) await new Promise((resolve) => setTimeout(resolve, 100));
          if (payload.batchId === batchId) ran.add(payload.chunk);
        },
      });
      await queues.add('batch', harness.pool, chunks(0, 200, batchId));
      await eventually('some run', 30_000, () => ran.size > 10);
      await getBackend().restart(5_000, () => expectUnavailable(queues));
      slow = false;
      await eventually('the producer is back', 30_000, () =>
        queues.ping().then(
          () => true,
          () => false,
        ),
      );
      await queues.add('batch', harness.pool, chunks(200, 1_200, batchId));
      await eventually('all run', 30_000, () => ran.size === 1_400);
    });

    test('queues and hosts that are started while the backend is down work once it is up', async () => {
      let ran = 0;
      let queues: Queues | undefined;
      await getBackend().restart(2_000, async () => {
        queues = harness.connect(getBackend().address);
        const host = harness.startHost(queues, { batch: async () => void ran++ });
        await expect(queues.ping()).rejects.toThrow(Unavailable);
        expect(host.getHealth().queues[0]).toMatchObject({ queue: 'batch', replacements: 0 });
      });
      await eventually('added', 30_000, () =>
        queues!.add('batch', harness.pool, chunks(0, 1)).then(
          () => true,
          () => false,
        ),
      );
      await eventually('run', 30_000, () => ran === 1);
    });

    test('when packets are dropped, a host is unhealthy within 60 s, and consumes soon after they pass again', async () => {
      const queues = harness.connect(getBackend().address);
      const batchId = createId('batch');
      // A call that timed out may have added its job: only this batch counts.
      const ran = new Set<number>();
      const host = harness.startHost(queues, {
        batch: async (payload) => void (payload.batchId === batchId && ran.add(payload.chunk)),
      });
      await queues.add('batch', harness.pool, chunks(0, 1, batchId));
      await eventually('run', 30_000, () => ran.has(0));
      expect(host.getHealth().healthy).toBe(true);
      getBackend().dropPackets();
      const droppedAt = performance.now();
      await expectUnavailable(queues);
      await eventually('seen as unhealthy', 60_000, () => !host.getHealth().healthy);
      // A worker that only waits for a job must not be reported as unhealthy.
      expect(performance.now() - droppedAt).toBeGreaterThan(15_000);
      getBackend().passNewConnections();
      const direct = harness.connect(getBackend().direct);
      await direct.add('batch', harness.pool, chunks(1, 1, batchId));
      await eventually('run', 30_000, () => ran.has(1));
      await eventually('healthy', 30_000, () => host.getHealth().healthy);
      await eventually('the producer is back', 30_000, () =>
        queues.ping().then(
          () => true,
          () => false,
        ),
      );
    });

    test('a worker that stops claiming jobs while the backend answers is replaced', async () => {
      const queues = harness.connect(getBackend().address) as Queues & {
        backend: { factory: (...args: never[]) => Claiming };
      };
      let isHanging = false;
      let skew = 0;
      const { factory } = queues.backend;
      queues.backend.factory = (...args) => {
        const backend = factory(...args);
        const claim = backend.moveToActive.bind(backend);
        // The first worker hangs in a claim, as on a dead connection that stays open.
        backend.moveToActive = (...params) => (isHanging ? new Promise(() => undefined) : claim(...params));
        return backend;
      };
      let ran = 0;
      const host = harness.startHost(queues, { batch: async () => void ran++ }, 4, {
        now: () => Date.now() + skew,
      });
      await queues.add('batch', harness.pool, chunks(0, 1));
      await eventually('run', 30_000, () => ran === 1);
      isHanging = true;
      await queues.add('batch', harness.pool, chunks(1, 1));
      await new Promise((resolve) => setTimeout(resolve, 500));
      skew = 31_000;
      expect(host.getHealth().healthy).toBe(false);
      await eventually('about to be replaced', 30_000, () => host.getHealth().queues[0]!.replacements > 0);
      expect(host.getHealth().healthy).toBe(false);
      isHanging = false;
      await eventually('replaced by a worker that consumes', 45_000, () => ran === 2);
      await eventually('healthy', 30_000, () => host.getHealth().healthy);
      expect(harness.logLines.join('')).toContain('an unresponsive queue worker is replaced');
    });

    test('neither a log line nor an error contains the password', async () => {
      const password = 'a-wrong-password-4711';
      const address = withPassword(getBackend().direct, password);
      const queues = harness.connect(address);
      harness.startHost(queues, { batch: async () => undefined });
      const failure = await queues.ping().then(
        () => null,
        (error: unknown) => error,
      );
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(failure).toBeInstanceOf(Unavailable);
      expect(inspect(failure, { depth: 9 })).not.toContain(password);
      expect(harness.logLines.length).toBeGreaterThan(0);
      expect(harness.logLines.join('')).not.toContain(password);
    });
  });
}

interface Claiming {
  moveToActive(token: string, name?: string): Promise<unknown[]>;
}

/** The same server's address with a password, at a port where no server listens. */
function withPassword(address: BackendAddress, password: string): BackendAddress {
  const url = new URL(address.url);
  url.password = password;
  url.port = '1';
  return { ...address, url: url.href };
}
