/** Conformance: after an outage of the backend, producers and workers resume without help. */
import { inspect } from 'node:util';
import { createId } from '@millrace/contracts';
import { Unavailable } from '#domain';
import type { BackendAddress, Queues } from '#queues';
import { QueueHarness, eventually, expectUnavailable, type BackendUnderTest } from './queue-harness.ts';

export function outageTests(getBackend: () => BackendUnderTest): void {
  describe('outages', () => {
    let harness: QueueHarness;
    beforeEach(() => {
      harness = new QueueHarness();
    });
    afterEach(() => harness.close());

    const chunks = (from: number, count: number, batchId = createId('batch')) =>
      Array.from({ length: count }, (_, at) => ({ payload: { batchId, chunk: from + at, generation: 1 } }));

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
      await getBackend().restart(5_000, () => expectUnavailable(queues, harness.pool));
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

/** The same server's address with a password, at a port where no server listens. */
function withPassword(address: BackendAddress, password: string): BackendAddress {
  const url = new URL(address.url);
  url.password = password;
  url.port = '1';
  return { ...address, url: url.href };
}
