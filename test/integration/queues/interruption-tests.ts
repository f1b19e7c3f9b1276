/** Conformance: cancelled jobs, lost locks and draining. */
import { EventEmitter } from 'node:events';
import { createId } from '@millrace/contracts';
import { buildJobId, type CancelFilter } from '#queues';
import { QueueHarness, eventually, waitForInterruption, type BackendUnderTest } from './queue-harness.ts';

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
  });
}
