/** Conformance: cancel, lost locks, crashed workers and leaving ones. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { newId } from '@millrace/contracts';
import { jobIdOf, type CancelMatch } from '#queues';
import { QueueHarness, eventually, waitForInterruption, type BackendUnderTest } from './queue-harness.ts';

/** Node runs the sources as they are. */
const typescript = [
  '--conditions=source',
  '--experimental-transform-types',
  '--disable-warning=ExperimentalWarning',
];
const stuckWorker = fileURLToPath(new URL('./stuck-worker.ts', import.meta.url));

export function interruptionTests(under: () => BackendUnderTest): void {
  describe('interrupting', () => {
    let bench: QueueHarness;
    beforeEach(() => {
      bench = new QueueHarness();
    });
    afterEach(() => bench.close());

    const chunk = (batchId: string, at: number) => ({ payload: { batchId, chunk: at, generation: 1 } });

    test('cancel, broadcast to two hosts, aborts what matches and nothing else', async () => {
      const queues = bench.connect(under().address);
      const bus = new EventEmitter<{ cancel: [CancelMatch] }>();
      const [canceled, kept] = [newId('batch'), newId('batch')];
      const taskId = newId('task');
      let begun = 0;
      const ended: string[] = [];
      let aborted = 0;
      for (const _ of [0, 1]) {
        const run = async (id: string, signal: AbortSignal): Promise<void> => {
          begun++;
          ended.push(`${id} ${await waitForInterruption(signal)}`);
          throw new Error('stopped');
        };
        const host = bench.startHost(bench.connect(under().address), {
          batch: ({ batchId }, { signal }) => run(batchId, signal),
          direct: (payload, { signal }) => run(payload.taskId, signal),
        });
        bus.on('cancel', (match) => (aborted += host.cancel(match)));
      }
      const jobs = [0, 1, 2, 3, 4].map((at) => chunk(canceled, at));
      await queues.add('batch', bench.pool, [...jobs, chunk(kept, 0)]);
      await queues.add('direct', bench.pool, [{ payload: { taskId, generation: 1 } }]);
      await eventually('all run', 30_000, async () => {
        const { active } = await queues.getCounts('batch', bench.pool);
        return active === 6 && begun === 7;
      });
      bus.emit('cancel', { batchId: canceled });
      await eventually('five ended', 30_000, () => ended.length === 5);
      expect(aborted).toBe(5);
      expect(new Set(ended)).toEqual(new Set([`${canceled} canceled`]));
      bus.emit('cancel', { taskId });
      bus.emit('cancel', { jobId: jobIdOf('batch', chunk(kept, 0).payload) });
      await eventually('all ended', 30_000, () => ended.length === 7);
      bus.emit('cancel', { batchId: canceled });
      expect(aborted).toBe(7);
      await eventually('all measured', 30_000, () => bench.observed.length === 7);
      expect(bench.observed.every(({ outcome }) => outcome === 'interrupted')).toBe(true);
    });

    test('a job of a worker killed with -9 is run again within 15 s, and says so', async () => {
      const queues = bench.connect(under().address);
      const job = chunk(newId('batch'), 0);
      await queues.add('batch', bench.pool, [job]);
      const args = [...typescript, stuckWorker, JSON.stringify(under().direct), bench.pool];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        const [said] = (await once(child.stdout, 'data')) as [Buffer];
        expect(String(said)).toContain(jobIdOf('batch', job.payload));
        // Past the first lock, so that it is a renewed one that must end.
        await new Promise((resolve) => setTimeout(resolve, 4_000));
      } finally {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
      const killedAt = performance.now();
      const redelivered: boolean[] = [];
      bench.startHost(queues, { batch: async (_payload, run) => void redelivered.push(run.isRedelivered) });
      await eventually('run again', 30_000, () => redelivered.length === 1);
      expect(performance.now() - killedAt).toBeLessThan(15_000);
      expect(redelivered).toEqual([true]);
    });

    test('a job that runs longer than its lock is not given to another', async () => {
      const queues = bench.connect(under().address);
      let runs = 0;
      let aborted = false;
      for (const _ of [0, 1]) {
        bench.startHost(bench.connect(under().address), {
          batch: async (_payload, { signal }) => {
            runs++;
            await new Promise((resolve) => setTimeout(resolve, 11_000));
            aborted ||= signal.aborted;
          },
        });
      }
      await queues.add('batch', bench.pool, [chunk(newId('batch'), 0)]);
      await eventually('done', 30_000, () => bench.observed.length === 1);
      expect({ runs, aborted }).toEqual({ runs: 1, aborted: false });
    });

    test('a job whose lock is lost is aborted; what is added anew after that runs', async () => {
      const queues = bench.connect(under().address);
      const batchId = newId('batch');
      const why: string[] = [];
      const ran: number[] = [];
      bench.startHost(queues, {
        batch: async (payload, { signal }) => {
          ran.push(payload.generation);
          if (payload.generation === 1) why.push(await waitForInterruption(signal));
        },
      });
      const waiting = chunk(newId('batch'), 9);
      await queues.add('batch', bench.pool, [chunk(batchId, 0), { ...waiting, delayMs: 600_000 }]);
      await eventually('running', 30_000, () => ran.length === 1);
      await under().empty();
      const ids = [chunk(batchId, 0), waiting].map(({ payload }) => jobIdOf('batch', payload));
      expect(await queues.findMissing('batch', bench.pool, ids)).toEqual(ids);
      await eventually('aborted', 30_000, () => why.length === 1);
      expect(why).toEqual(['lock_lost']);
      await queues.add('batch', bench.pool, [{ payload: { batchId, chunk: 0, generation: 2 } }]);
      await eventually('run anew', 30_000, () => ran.length === 2);
      expect(ran).toEqual([1, 2]);
    });

    test('drain takes nothing new, waits for what runs, and closes', async () => {
      const queues = bench.connect(under().address);
      const started: number[] = [];
      let ended = 0;
      const host = bench.startHost(
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
      const batchId = newId('batch');
      await queues.add(
        'batch',
        bench.pool,
        [0, 1, 2].map((at) => chunk(batchId, at)),
      );
      await eventually('running', 30_000, () => started.length === 1);
      expect(await host.drain(5_000)).toEqual({ abandoned: [] });
      expect({ started, ended }).toEqual({ started: [0], ended: 1 });
      expect(host.getHealth().healthy).toBe(false);
      expect(await queues.getCounts('batch', bench.pool)).toMatchObject({ waiting: 2, active: 0 });
    });

    test('at the deadline drain interrupts; who hands back is not abandoned, who does not is run elsewhere', async () => {
      const queues = bench.connect(under().address);
      const batchId = newId('batch');
      const started = new Set<number>();
      const why: string[] = [];
      let release: () => void = () => undefined;
      const deaf = new Promise<void>((resolve) => (release = resolve));
      const host = bench.startHost(queues, {
        batch: async (payload, { signal }) => {
          started.add(payload.chunk);
          const said = waitForInterruption(signal).then((word) => why.push(word));
          await (payload.chunk === 0 ? said : deaf);
        },
      });
      await queues.add('batch', bench.pool, [chunk(batchId, 0), chunk(batchId, 1)]);
      await eventually('both running', 30_000, () => started.size === 2);
      const askedAt = performance.now();
      const { abandoned } = await host.drain(500);
      // Not for the 25 s that a drain may otherwise take.
      expect(performance.now() - askedAt).toBeLessThan(20_000);
      expect(abandoned).toEqual([`${batchId}-1-1`]);
      expect(why).toEqual(['draining', 'draining']);
      const again: number[] = [];
      bench.startHost(bench.connect(under().address), {
        batch: async (payload) => void again.push(payload.chunk),
      });
      await eventually('the abandoned job runs elsewhere', 30_000, () => again.length === 1);
      expect(again).toEqual([1]);
      release();
    });
  });
}
