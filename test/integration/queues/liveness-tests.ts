/** Conformance: stalled jobs, silent connections and workers that hang. These tests mostly wait, so they run side by side. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createId } from '@millrace/contracts';
import { buildJobId, type Queues } from '#queues';
import {
  QueueHarness,
  eventually,
  expectUnavailable,
  waitForInterruption,
  type BackendUnderTest,
} from './queue-harness.ts';

/** Options with which Node runs TypeScript sources. */
const typescript = [
  '--conditions=source',
  '--experimental-transform-types',
  '--disable-warning=ExperimentalWarning',
];
const stuckWorker = fileURLToPath(new URL('./stuck-worker.ts', import.meta.url));

const chunk = (batchId: string, at: number) => ({ payload: { batchId, chunk: at, generation: 1 } });

export function livenessTests(getBackend: () => BackendUnderTest): void {
  // One test drops the packets of the proxy; the others connect without it. None may stop the backend or empty it.
  testSideBySide('liveness', {
    async 'a job of a worker killed with -9 runs again within 15 s, marked as redelivered'(harness) {
      const queues = harness.connect(getBackend().direct);
      const job = chunk(createId('batch'), 0);
      await queues.add('batch', harness.pool, [job]);
      const args = [...typescript, stuckWorker, JSON.stringify(getBackend().direct), harness.pool];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        const [output] = (await once(child.stdout, 'data')) as [Buffer];
        expect(String(output)).toContain(buildJobId('batch', job.payload));
        // Longer than the first lock, so that the lock that expires is a renewed one.
        await new Promise((resolve) => setTimeout(resolve, 4_000));
      } finally {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
      const killedAt = performance.now();
      const redelivered: boolean[] = [];
      harness.startHost(queues, { batch: async (_payload, run) => void redelivered.push(run.isRedelivered) });
      await eventually('run again', 30_000, () => redelivered.length === 1);
      expect(performance.now() - killedAt).toBeLessThan(15_000);
      expect(redelivered).toEqual([true]);
    },

    async 'a job that runs longer than its lock is not given to another worker'(harness) {
      const queues = harness.connect(getBackend().direct);
      let runs = 0;
      let aborted = false;
      for (const _ of [0, 1]) {
        harness.startHost(harness.connect(getBackend().direct), {
          batch: async (_payload, { signal }) => {
            runs++;
            await new Promise((resolve) => setTimeout(resolve, 11_000));
            aborted ||= signal.aborted;
          },
        });
      }
      await queues.add('batch', harness.pool, [chunk(createId('batch'), 0)]);
      await eventually('done', 30_000, () => harness.observed.length === 1);
      expect({ runs, aborted }).toEqual({ runs: 1, aborted: false });
    },

    async 'drain interrupts at the deadline; a job that does not return is abandoned and runs elsewhere'(
      harness,
    ) {
      const queues = harness.connect(getBackend().direct);
      const batchId = createId('batch');
      const started = new Set<number>();
      const reasons: string[] = [];
      let release: () => void = () => undefined;
      const hanging = new Promise<void>((resolve) => (release = resolve));
      const host = harness.startHost(queues, {
        batch: async (payload, { signal }) => {
          started.add(payload.chunk);
          const interrupted = waitForInterruption(signal).then((reason) => reasons.push(reason));
          await (payload.chunk === 0 ? interrupted : hanging);
        },
      });
      await queues.add('batch', harness.pool, [chunk(batchId, 0), chunk(batchId, 1)]);
      await eventually('both running', 30_000, () => started.size === 2);
      const drainedAt = performance.now();
      const { abandoned } = await host.drain(500);
      // Shorter than the 25 s that a drain takes by default.
      expect(performance.now() - drainedAt).toBeLessThan(20_000);
      expect(abandoned).toEqual([`${batchId}-1-1`]);
      expect(reasons).toEqual(['draining', 'draining']);
      const again: number[] = [];
      harness.startHost(harness.connect(getBackend().direct), {
        batch: async (payload) => void again.push(payload.chunk),
      });
      await eventually('the abandoned job runs elsewhere', 30_000, () => again.length === 1);
      expect(again).toEqual([1]);
      release();
    },

    async 'when packets are dropped, a host is unhealthy within 60 s, and consumes soon after they pass again'(
      harness,
    ) {
      const queues = harness.connect(getBackend().address);
      const batchId = createId('batch');
      // A call that timed out may have added its job: only this batch counts.
      const ran = new Set<number>();
      const host = harness.startHost(queues, {
        batch: async (payload) => void (payload.batchId === batchId && ran.add(payload.chunk)),
      });
      await queues.add('batch', harness.pool, [chunk(batchId, 0)]);
      await eventually('run', 30_000, () => ran.has(0));
      expect(host.getHealth().healthy).toBe(true);
      getBackend().dropPackets();
      const droppedAt = performance.now();
      await expectUnavailable(queues, harness.pool);
      await eventually('seen as unhealthy', 60_000, () => !host.getHealth().healthy);
      // A worker that only waits for a job must not be reported as unhealthy.
      expect(performance.now() - droppedAt).toBeGreaterThan(15_000);
      getBackend().passNewConnections();
      const direct = harness.connect(getBackend().direct);
      await direct.add('batch', harness.pool, [chunk(batchId, 1)]);
      await eventually('run', 30_000, () => ran.has(1));
      await eventually('healthy', 30_000, () => host.getHealth().healthy);
      await eventually('the producer is back', 30_000, () =>
        queues.ping().then(
          () => true,
          () => false,
        ),
      );
    },

    async 'a worker that stops claiming jobs while the backend answers is replaced'(harness) {
      const queues = harness.connect(getBackend().direct) as Queues & {
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
      await queues.add('batch', harness.pool, [chunk(createId('batch'), 0)]);
      await eventually('run', 30_000, () => ran === 1);
      isHanging = true;
      await queues.add('batch', harness.pool, [chunk(createId('batch'), 1)]);
      await new Promise((resolve) => setTimeout(resolve, 500));
      skew = 31_000;
      expect(host.getHealth().healthy).toBe(false);
      await eventually('about to be replaced', 30_000, () => host.getHealth().queues[0]!.replacements > 0);
      expect(host.getHealth().healthy).toBe(false);
      isHanging = false;
      // The new worker may hang in its first claim: then it is replaced in turn.
      skew += 31_000;
      await eventually('replaced by a worker that consumes', 45_000, () => ran === 2);
      await eventually('healthy', 30_000, () => host.getHealth().healthy);
      expect(harness.logLines.join('')).toContain('an unresponsive queue worker is replaced');
    },
  });
}

interface Claiming {
  moveToActive(token: string, name?: string): Promise<unknown[]>;
}

type QueueTest = (harness: QueueHarness) => Promise<void>;

/** Registers tests of which the first one starts all, each with its own harness. Each reports its own result. */
function testSideBySide(name: string, tests: Readonly<Record<string, QueueTest>>): void {
  let results: Map<string, Promise<void>> | undefined;
  const run = async (body: QueueTest): Promise<void> => {
    const harness = new QueueHarness();
    try {
      await body(harness);
    } finally {
      await harness.close();
    }
  };
  const startAll = () => {
    const started = Object.entries(tests).map(([title, body]) => [title, run(body)] as const);
    for (const [, result] of started) result.catch(() => undefined);
    return new Map(started);
  };
  describe(name, () => {
    for (const title of Object.keys(tests))
      test(title, async () => {
        await (results ??= startAll()).get(title);
      });
  });
}
