/** Conformance: cancelled jobs, lost locks, and workers that crash or drain. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createId } from '@millrace/contracts';
import { buildJobId, type CancelFilter } from '#queues';
import { QueueHarness, eventually, waitForInterruption, type BackendUnderTest } from './queue-harness.ts';

/** Options with which Node runs TypeScript sources. */
const typescript = [
  '--conditions=source',
  '--experimental-transform-types',
  '--disable-warning=ExperimentalWarning',
];
const stuckWorker = fileURLToPath(new URL('./stuck-worker.ts', import.meta.url));

export function interruptionTests(getBackend: () => BackendUnderTest): void {
  describe('interruption', () => {
    let harness: QueueHarness;
    beforeEach(() => {
      harness = new QueueHarness();
    });
    afterEach(() => harness.close());

    const chunk = (batchId: string, at: number) => ({ payload: { batchId, chunk: at, generation: 1 } });

    test('cancel, sent to two hosts, interrupts matching jobs and no others', async () => {
      const queues = harness.connect(getBackend().address);
      const bus = new EventEmitter<{ cancel: [CancelFilter] }>();
      const [canceled, kept] = [createId('batch'), createId('batch')];
      const taskId = createId('task');
      let started = 0;
      const ended: string[] = [];
      let aborted = 0;
      for (const _ of [0, 1]) {
        const run = async (id: string, signal: AbortSignal): Promise<void> => {
          started++;
          ended.push(`${id} ${await waitForInterruption(signal)}`);
          throw new Error('stopped');
        };
        const host = harness.startHost(harness.connect(getBackend().address), {
          batch: ({ batchId }, { signal }) => run(batchId, signal),
          direct: (payload, { signal }) => run(payload.taskId, signal),
        });
        bus.on('cancel', (match) => (aborted += host.cancel(match)));
      }
      const jobs = [0, 1, 2, 3, 4].map((at) => chunk(canceled, at));
      await queues.add('batch', harness.pool, [...jobs, chunk(kept, 0)]);
      await queues.add('direct', harness.pool, [{ payload: { taskId, generation: 1 } }]);
      await eventually('all run', 30_000, async () => {
        const { active } = await queues.getCounts('batch', harness.pool);
        return active === 6 && started === 7;
      });
      bus.emit('cancel', { batchId: canceled });
      await eventually('five ended', 30_000, () => ended.length === 5);
      expect(aborted).toBe(5);
      expect(new Set(ended)).toEqual(new Set([`${canceled} canceled`]));
      bus.emit('cancel', { taskId });
      bus.emit('cancel', { jobId: buildJobId('batch', chunk(kept, 0).payload) });
      await eventually('all ended', 30_000, () => ended.length === 7);
      bus.emit('cancel', { batchId: canceled });
      expect(aborted).toBe(7);
      await eventually('all measured', 30_000, () => harness.observed.length === 7);
      expect(harness.observed.every(({ outcome }) => outcome === 'interrupted')).toBe(true);
    });

    test('a job of a worker killed with -9 runs again within 15 s, marked as redelivered', async () => {
      const queues = harness.connect(getBackend().address);
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
    });

    test('a job that runs longer than its lock is not given to another worker', async () => {
      const queues = harness.connect(getBackend().address);
      let runs = 0;
      let aborted = false;
      for (const _ of [0, 1]) {
        harness.startHost(harness.connect(getBackend().address), {
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
    });

    test('a job whose lock is lost is interrupted, and runs when it is added again', async () => {
      const queues = harness.connect(getBackend().address);
      const batchId = createId('batch');
      const reasons: string[] = [];
      const ran: number[] = [];
      harness.startHost(queues, {
        batch: async (payload, { signal }) => {
          ran.push(payload.generation);
          if (payload.generation === 1) reasons.push(await waitForInterruption(signal));
        },
      });
      const waiting = chunk(createId('batch'), 9);
      await queues.add('batch', harness.pool, [chunk(batchId, 0), { ...waiting, delayMs: 600_000 }]);
      await eventually('running', 30_000, () => ran.length === 1);
      await getBackend().empty();
      const ids = [chunk(batchId, 0), waiting].map(({ payload }) => buildJobId('batch', payload));
      expect(await queues.findMissing('batch', harness.pool, ids)).toEqual(ids);
      await eventually('interrupted', 30_000, () => reasons.length === 1);
      expect(reasons).toEqual(['lock_lost']);
      await queues.add('batch', harness.pool, [{ payload: { batchId, chunk: 0, generation: 2 } }]);
      await eventually('run again', 30_000, () => ran.length === 2);
      expect(ran).toEqual([1, 2]);
    });

    test('drain takes no new job, waits for running ones, and closes', async () => {
      const queues = harness.connect(getBackend().address);
      const started: number[] = [];
      let ended = 0;
      const host = harness.startHost(
        queues,
        {
          batch: async (payload) => {
            started.push(payload.chunk);
            await new Promise((resolve) => setTimeout(resolve, 1_000));
            ended++;
          },
        },
        1,
      );
      const batchId = createId('batch');
      await queues.add(
        'batch',
        harness.pool,
        [0, 1, 2].map((at) => chunk(batchId, at)),
      );
      await eventually('running', 30_000, () => started.length === 1);
      expect(await host.drain(5_000)).toEqual({ abandoned: [] });
      expect({ started, ended }).toEqual({ started: [0], ended: 1 });
      expect(host.getHealth().healthy).toBe(false);
      expect(await queues.getCounts('batch', harness.pool)).toMatchObject({ waiting: 2, active: 0 });
    });

    test('drain interrupts at the deadline; a job that does not return is abandoned and runs elsewhere', async () => {
      const queues = harness.connect(getBackend().address);
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
      harness.startHost(harness.connect(getBackend().address), {
        batch: async (payload) => void again.push(payload.chunk),
      });
      await eventually('the abandoned job runs elsewhere', 30_000, () => again.length === 1);
      expect(again).toEqual([1]);
      release();
    });
  });
}
