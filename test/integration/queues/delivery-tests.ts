/** Conformance: what is added is run, once, in order, and is gone. */
import { ROOT_CONTEXT, trace, type Context, type Span, type Tracer } from '@opentelemetry/api';
import { newId } from '@millrace/contracts';
import { jobIdOf, startWorkerHost } from '#queues';
import { QueueHarness, eventually, type BackendUnderTest } from './queue-harness.ts';

export function deliveryTests(under: () => BackendUnderTest): void {
  describe('delivering', () => {
    let bench: QueueHarness;
    beforeEach(() => {
      bench = new QueueHarness();
    });
    afterEach(() => bench.close());

    const chunks = (count: number, batchId = newId('batch')) =>
      Array.from({ length: count }, (_, chunk) => ({ payload: { batchId, chunk, generation: 1 } }));

    test('a job of each queue reaches its handler with its payload, and is gone', async () => {
      const queues = bench.connect(under().address);
      const batchId = newId('batch');
      const taskId = newId('task');
      const got: unknown[] = [];
      await queues.add('plan', null, [{ payload: { batchId, generation: 1 } }]);
      await queues.add('batch', bench.pool, [{ payload: { batchId, chunk: 7, generation: 2 } }]);
      await queues.add('direct', bench.pool, [{ payload: { taskId, generation: 1 } }]);
      bench.startHost(queues, {
        plan: async (payload, { jobId }) => void got.push({ jobId, ...payload }),
        batch: async (payload, { jobId }) => void got.push({ jobId, ...payload }),
        direct: async (payload, { jobId }) => void got.push({ jobId, ...payload }),
      });
      await eventually('three jobs run', 30_000, () => got.length === 3);
      expect(got).toEqual(
        expect.arrayContaining([
          { jobId: `${batchId}-1`, batchId, generation: 1 },
          { jobId: `${batchId}-7-2`, batchId, chunk: 7, generation: 2 },
          { jobId: `${taskId}-1`, taskId, generation: 1 },
        ]),
      );
      await eventually('all queues are empty', 30_000, async () => {
        const counts = await queues.getCounts('batch', bench.pool);
        return Object.values(counts).every((count) => count === 0);
      });
      expect(await queues.findMissing('direct', bench.pool, [`${taskId}-1`])).toEqual([`${taskId}-1`]);
    });

    test('3,500 jobs in one call: two hosts share them and each job runs once', async () => {
      const queues = bench.connect(under().address);
      const runs = new Map<string, number>();
      const by = [0, 0];
      await queues.add('batch', bench.pool, chunks(3_500));
      expect(await queues.getCounts('batch', bench.pool)).toEqual({
        waiting: 3_500,
        active: 0,
        delayed: 0,
        prioritized: 0,
      });
      for (const host of [0, 1]) {
        bench.startHost(bench.connect(under().address), {
          batch: async (_payload, { jobId }) => {
            runs.set(jobId, (runs.get(jobId) ?? 0) + 1);
            by[host]!++;
          },
        });
      }
      await eventually('3,500 jobs run', 30_000, () => runs.size === 3_500);
      expect(new Set(runs.values())).toEqual(new Set([1]));
      expect(Math.min(...by)).toBeGreaterThan(0);
    });

    test('a job whose id still exists is swallowed; one whose job is done is not', async () => {
      const queues = bench.connect(under().address);
      const [job] = chunks(1);
      let runs = 0;
      await queues.add('batch', bench.pool, [job!]);
      await queues.add('batch', bench.pool, [job!, job!]);
      expect((await queues.getCounts('batch', bench.pool)).waiting).toBe(1);
      bench.startHost(queues, { batch: async () => void runs++ });
      const id = jobIdOf('batch', job!.payload);
      await eventually(
        'gone',
        30_000,
        async () => (await queues.findMissing('batch', bench.pool, [id])).length === 1,
      );
      expect(runs).toBe(1);
      await queues.add('batch', bench.pool, [job!]);
      await eventually('run again', 30_000, () => runs === 2);
    });

    test('a delayed job runs when its time has come, and its wait is counted from then', async () => {
      const queues = bench.connect(under().address);
      const [first, second] = chunks(2);
      const ran: { chunk: number; at: number }[] = [];
      bench.startHost(queues, { batch: async ({ chunk }) => void ran.push({ chunk, at: Date.now() }) });
      const addedAt = Date.now();
      await queues.add('batch', bench.pool, [{ ...first!, delayMs: 1_500 }, second!]);
      expect((await queues.getCounts('batch', bench.pool)).delayed).toBe(1);
      await eventually('both run', 30_000, () => ran.length === 2);
      expect(ran.map(({ chunk }) => chunk)).toEqual([second!.payload.chunk, first!.payload.chunk]);
      const after = ran[1]!.at - addedAt;
      expect(after).toBeGreaterThanOrEqual(1_450);
      await eventually('both measured', 30_000, () => bench.observed.length === 2);
      expect(bench.observed[1]!.waitMs).toBeLessThanOrEqual(after - 1_450);
    });

    test('jobs run by priority, and first in, first out within one', async () => {
      const queues = bench.connect(under().address);
      const order: number[] = [];
      const priorities = [undefined, 5, 1, 3, undefined, 1];
      const jobs = chunks(6).map((job, at) => ({ ...job, priority: priorities[at] }));
      await queues.add('batch', bench.pool, jobs);
      expect((await queues.getCounts('batch', bench.pool)).prioritized).toBe(4);
      bench.startHost(queues, { batch: async ({ chunk }) => void order.push(chunk) }, 1);
      await eventually('six jobs run', 30_000, () => order.length === 6);
      expect(order).toEqual([0, 4, 2, 5, 3, 1]);
    });

    test('a host takes the jobs of its own pool only', async () => {
      const queues = bench.connect(under().address);
      let runs = 0;
      bench.startHost(queues, { batch: async () => void runs++ });
      await queues.add('batch', `${bench.pool}-other`, chunks(2));
      await queues.add('batch', bench.pool, chunks(1));
      await eventually('its own job runs', 30_000, () => runs === 1);
      expect((await queues.getCounts('batch', `${bench.pool}-other`)).waiting).toBe(2);
    });

    test('missing tells lost jobs from waiting ones; remove takes a waiting one away', async () => {
      const queues = bench.connect(under().address);
      const jobs = chunks(1_500);
      await queues.add('batch', bench.pool, jobs);
      const ids = jobs.map(({ payload }) => jobIdOf('batch', payload));
      expect(await queues.findMissing('batch', bench.pool, ids)).toEqual([]);
      await queues.remove('batch', bench.pool, [ids[3]!, ids[1_400]!, 'never-was']);
      expect(await queues.findMissing('batch', bench.pool, ids)).toEqual([ids[3], ids[1_400]]);
    });

    test('a handler that throws is logged; the job is gone and is not tried again', async () => {
      const queues = bench.connect(under().address);
      const [job] = chunks(1);
      const id = jobIdOf('batch', job!.payload);
      let runs = 0;
      bench.startHost(queues, {
        batch: async () => {
          runs++;
          throw new Error('the mill stands still');
        },
      });
      await queues.add('batch', bench.pool, [job!]);
      await eventually(
        'gone',
        30_000,
        async () => (await queues.findMissing('batch', bench.pool, [id])).length === 1,
      );
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(runs).toBe(1);
      expect(bench.observed).toEqual([expect.objectContaining({ queue: 'batch', outcome: 'failed' })]);
      const said = bench.logLines.filter((line) => line.includes('the mill stands still'));
      expect(said.map((line) => JSON.parse(line) as unknown)).toEqual([
        expect.objectContaining({ queue: 'batch', jobId: id, batchId: job!.payload.batchId, chunk: 0 }),
      ]);
    });

    test('a payload that can not be read is dropped, without its content in the log', async () => {
      const queues = bench.connect(under().address);
      let runs = 0;
      const foreign = { batchId: newId('batch'), chunk: -1, generation: 1, prompt: 'grind this' };
      await under().addForeign(`${bench.pool}-batch`, 'foreign-1', foreign);
      bench.startHost(queues, { batch: async () => void runs++ });
      await eventually('dropped', 30_000, () => bench.observed.length === 1);
      expect(bench.observed[0]!.outcome).toBe('dropped');
      expect(runs).toBe(0);
      await eventually('gone', 30_000, async () => {
        return (await queues.findMissing('batch', bench.pool, ['foreign-1'])).length === 1;
      });
      expect(bench.logLines.join('')).toContain('foreign-1');
      expect(bench.logLines.join('')).not.toContain('grind this');
    });

    test('a payload carries ids and nothing else, and an id is one that BullMQ reads as such', async () => {
      const queues = bench.connect(under().address);
      const payload = { batchId: newId('batch'), chunk: 0, generation: 1 };
      const add = (job: { id?: string; payload: object; priority?: number; delayMs?: number }) =>
        queues.add('batch', bench.pool, [job as never]);
      await expect(add({ payload: { ...payload, token: 'hf_secret' } })).rejects.toThrow(TypeError);
      await expect(add({ payload: { ...payload, batchId: 'batch_1' } })).rejects.toThrow(TypeError);
      await expect(add({ payload, id: 'a:b' })).rejects.toThrow(TypeError);
      await expect(add({ payload, id: '42' })).rejects.toThrow(TypeError);
      await expect(add({ payload, priority: 0 })).rejects.toThrow(TypeError);
      await expect(add({ payload, delayMs: -1 })).rejects.toThrow(TypeError);
      await expect(queues.getCounts('batch', 'a:b')).rejects.toThrow(TypeError);
      await expect(queues.getCounts('batch', null)).rejects.toThrow(TypeError);
      expect((await queues.getCounts('batch', bench.pool)).waiting).toBe(0);
      expect(await under().dump()).not.toContain('hf_secret');
    });

    test("a job's span is the child of whoever added it", async () => {
      const queues = bench.connect(under().address);
      const spans: { name: string; parent: string | undefined }[] = [];
      const tracer = {
        startActiveSpan(name: string, _options: unknown, parent: Context, run: (span: Span) => unknown) {
          const { traceId, spanId } = trace.getSpanContext(parent) ?? {};
          spans.push({ name, parent: traceId && `${traceId}-${spanId}` });
          return run(trace.wrapSpanContext({ traceId: '', spanId: '', traceFlags: 0 }));
        },
        startSpan: () => trace.getTracer('none').startSpan('none', {}, ROOT_CONTEXT),
      } as unknown as Tracer;
      const trail = `${'4b'.repeat(16)}-${'a1'.repeat(8)}`;
      const payload = { batchId: newId('batch'), chunk: 0, generation: 1, traceparent: `00-${trail}-01` };
      await queues.add('batch', bench.pool, [{ payload }, ...chunks(1)]);
      bench.startHost(queues, { batch: async () => undefined }, 1, { tracer });
      await eventually('two spans', 30_000, () => spans.length === 2);
      expect(spans).toEqual([
        { name: 'process batch', parent: trail },
        { name: 'process batch', parent: undefined },
      ]);
    });

    test('a host starts only with a handler and a slot for each queue', () => {
      const queues = bench.connect(under().address);
      const { pool, log } = bench;
      expect(() =>
        startWorkerHost({
          queues,
          pool,
          log,
          concurrency: { batch: 1, direct: 1 },
          // @ts-expect-error direct has no handler
          handlers: { batch: async () => undefined },
        }),
      ).toThrow('direct has no handler');
      const handlers = { batch: async () => undefined };
      expect(() => startWorkerHost({ queues, pool, log, concurrency: { batch: 0 }, handlers })).toThrow(
        'slot',
      );
    });
  });
}
