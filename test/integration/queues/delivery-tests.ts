/** Conformance: an added job runs once, in order, and is then removed. */
import { ROOT_CONTEXT, trace, type Context, type Span, type Tracer } from '@opentelemetry/api';
import { createId } from '@millrace/contracts';
import { buildJobId, startWorkerHost } from '#queues';
import { QueueHarness, eventually, type BackendUnderTest } from './queue-harness.ts';

export function deliveryTests(getBackend: () => BackendUnderTest): void {
  describe('delivery', () => {
    let harness: QueueHarness;
    beforeEach(() => {
      harness = new QueueHarness();
    });
    afterEach(() => harness.close());

    const chunks = (count: number, batchId = createId('batch')) =>
      Array.from({ length: count }, (_, chunk) => ({ payload: { batchId, chunk, generation: 1 } }));

    test('a job of each queue reaches its handler with its payload, and is then removed', async () => {
      const queues = harness.connect(getBackend().address);
      const batchId = createId('batch');
      const taskId = createId('task');
      const got: unknown[] = [];
      await queues.add('plan', null, [{ payload: { batchId, generation: 1 } }]);
      await queues.add('batch', harness.pool, [{ payload: { batchId, chunk: 7, generation: 2 } }]);
      await queues.add('direct', harness.pool, [{ payload: { taskId, generation: 1 } }]);
      harness.startHost(queues, {
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
      // A job is removed after its handler has returned.
      await eventually('each job is removed', 30_000, async () => {
        const missing = await Promise.all([
          queues.findMissing('plan', null, [`${batchId}-1`]),
          queues.findMissing('batch', harness.pool, [`${batchId}-7-2`]),
          queues.findMissing('direct', harness.pool, [`${taskId}-1`]),
        ]);
        return missing.every(({ length }) => length === 1);
      });
      const counts = await queues.getCounts('batch', harness.pool);
      expect(counts).toEqual({ waiting: 0, active: 0, delayed: 0, prioritized: 0 });
    });

    test('two hosts share 3,500 jobs of one call, and each job runs once', async () => {
      const queues = harness.connect(getBackend().address);
      const runs = new Map<string, number>();
      const by = [0, 0];
      await queues.add('batch', harness.pool, chunks(3_500));
      expect(await queues.getCounts('batch', harness.pool)).toEqual({
        waiting: 3_500,
        active: 0,
        delayed: 0,
        prioritized: 0,
      });
      for (const host of [0, 1]) {
        harness.startHost(harness.connect(getBackend().address), {
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

    test('add ignores a job whose id still exists, and adds it again once the job is done', async () => {
      const queues = harness.connect(getBackend().address);
      const [job] = chunks(1);
      let runs = 0;
      await queues.add('batch', harness.pool, [job!]);
      await queues.add('batch', harness.pool, [job!, job!]);
      expect((await queues.getCounts('batch', harness.pool)).waiting).toBe(1);
      harness.startHost(queues, { batch: async () => void runs++ });
      const id = buildJobId('batch', job!.payload);
      await eventually(
        'gone',
        30_000,
        async () => (await queues.findMissing('batch', harness.pool, [id])).length === 1,
      );
      expect(runs).toBe(1);
      await queues.add('batch', harness.pool, [job!]);
      await eventually('run again', 30_000, () => runs === 2);
    });

    test('a delayed job runs after its delay, and its wait is measured from there', async () => {
      const queues = harness.connect(getBackend().address);
      const [first, second] = chunks(2);
      const ran: { chunk: number; at: number }[] = [];
      harness.startHost(queues, { batch: async ({ chunk }) => void ran.push({ chunk, at: Date.now() }) });
      const addedAt = Date.now();
      await queues.add('batch', harness.pool, [{ ...first!, delayMs: 1_500 }, second!]);
      expect((await queues.getCounts('batch', harness.pool)).delayed).toBe(1);
      await eventually('both run', 30_000, () => ran.length === 2);
      expect(ran.map(({ chunk }) => chunk)).toEqual([second!.payload.chunk, first!.payload.chunk]);
      const after = ran[1]!.at - addedAt;
      expect(after).toBeGreaterThanOrEqual(1_450);
      await eventually('both measured', 30_000, () => harness.observed.length === 2);
      expect(harness.observed[1]!.waitMs).toBeLessThanOrEqual(after - 1_450);
    });

    test('jobs run in order of priority, first in, first out within a priority', async () => {
      const queues = harness.connect(getBackend().address);
      const order: number[] = [];
      const priorities = [undefined, 5, 1, 3, undefined, 1];
      const jobs = chunks(6).map((job, at) => ({ ...job, priority: priorities[at] }));
      await queues.add('batch', harness.pool, jobs);
      expect((await queues.getCounts('batch', harness.pool)).prioritized).toBe(4);
      harness.startHost(queues, { batch: async ({ chunk }) => void order.push(chunk) }, 1);
      await eventually('six jobs run', 30_000, () => order.length === 6);
      expect(order).toEqual([0, 4, 2, 5, 3, 1]);
    });

    test('a host takes the jobs of its own pool only', async () => {
      const queues = harness.connect(getBackend().address);
      let runs = 0;
      harness.startHost(queues, { batch: async () => void runs++ });
      await queues.add('batch', `${harness.pool}-other`, chunks(2));
      await queues.add('batch', harness.pool, chunks(1));
      await eventually('its own job runs', 30_000, () => runs === 1);
      expect((await queues.getCounts('batch', `${harness.pool}-other`)).waiting).toBe(2);
    });

    test('findMissing distinguishes missing jobs from waiting ones; remove removes a waiting job', async () => {
      const queues = harness.connect(getBackend().address);
      const jobs = chunks(1_500);
      await queues.add('batch', harness.pool, jobs);
      const ids = jobs.map(({ payload }) => buildJobId('batch', payload));
      expect(await queues.findMissing('batch', harness.pool, ids)).toEqual([]);
      await queues.remove('batch', harness.pool, [ids[3]!, ids[1_400]!, 'never-was']);
      expect(await queues.findMissing('batch', harness.pool, ids)).toEqual([ids[3], ids[1_400]]);
    });

    test('an error of a handler is logged; the job is removed and not retried', async () => {
      const queues = harness.connect(getBackend().address);
      const [job] = chunks(1);
      const id = buildJobId('batch', job!.payload);
      let runs = 0;
      harness.startHost(queues, {
        batch: async () => {
          runs++;
          throw new Error('the handler failed');
        },
      });
      await queues.add('batch', harness.pool, [job!]);
      await eventually(
        'gone',
        30_000,
        async () => (await queues.findMissing('batch', harness.pool, [id])).length === 1,
      );
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(runs).toBe(1);
      expect(harness.observed).toEqual([expect.objectContaining({ queue: 'batch', outcome: 'failed' })]);
      const errorLines = harness.logLines.filter((line) => line.includes('the handler failed'));
      expect(errorLines.map((line) => JSON.parse(line) as unknown)).toEqual([
        expect.objectContaining({ queue: 'batch', jobId: id, batchId: job!.payload.batchId, chunk: 0 }),
      ]);
    });

    test('a job with an invalid payload is dropped, and its content is not logged', async () => {
      const queues = harness.connect(getBackend().address);
      let runs = 0;
      const foreign = { batchId: createId('batch'), chunk: -1, generation: 1, prompt: 'secret prompt' };
      await getBackend().addForeign(`${harness.pool}-batch`, 'foreign-1', foreign);
      harness.startHost(queues, { batch: async () => void runs++ });
      await eventually('dropped', 30_000, () => harness.observed.length === 1);
      expect(harness.observed[0]!.outcome).toBe('dropped');
      expect(runs).toBe(0);
      await eventually('gone', 30_000, async () => {
        return (await queues.findMissing('batch', harness.pool, ['foreign-1'])).length === 1;
      });
      expect(harness.logLines.join('')).toContain('foreign-1');
      expect(harness.logLines.join('')).not.toContain('secret prompt');
    });

    test('add rejects a payload with anything but ids, and a job id that BullMQ misreads', async () => {
      const queues = harness.connect(getBackend().address);
      const payload = { batchId: createId('batch'), chunk: 0, generation: 1 };
      const add = (job: { id?: string; payload: object; priority?: number; delayMs?: number }) =>
        queues.add('batch', harness.pool, [job as never]);
      await expect(add({ payload: { ...payload, token: 'hf_secret' } })).rejects.toThrow(TypeError);
      await expect(add({ payload: { ...payload, batchId: 'batch_1' } })).rejects.toThrow(TypeError);
      await expect(add({ payload, id: 'a:b' })).rejects.toThrow(TypeError);
      await expect(add({ payload, id: '42' })).rejects.toThrow(TypeError);
      await expect(add({ payload, priority: 0 })).rejects.toThrow(TypeError);
      await expect(add({ payload, delayMs: -1 })).rejects.toThrow(TypeError);
      await expect(queues.getCounts('batch', 'a:b')).rejects.toThrow(TypeError);
      await expect(queues.getCounts('batch', null)).rejects.toThrow(TypeError);
      expect((await queues.getCounts('batch', harness.pool)).waiting).toBe(0);
      expect(await getBackend().dump()).not.toContain('hf_secret');
    });

    test("a job's span is a child of the span that added the job", async () => {
      const queues = harness.connect(getBackend().address);
      const spans: { name: string; parent: string | undefined }[] = [];
      const tracer = {
        startActiveSpan(name: string, _options: unknown, parent: Context, run: (span: Span) => unknown) {
          const { traceId, spanId } = trace.getSpanContext(parent) ?? {};
          spans.push({ name, parent: traceId && `${traceId}-${spanId}` });
          return run(trace.wrapSpanContext({ traceId: '', spanId: '', traceFlags: 0 }));
        },
        startSpan: () => trace.getTracer('none').startSpan('none', {}, ROOT_CONTEXT),
      } as unknown as Tracer;
      const parentIds = `${'4b'.repeat(16)}-${'a1'.repeat(8)}`;
      const traceparent = `00-${parentIds}-01`;
      const payload = { batchId: createId('batch'), chunk: 0, generation: 1, traceparent };
      await queues.add('batch', harness.pool, [{ payload }, ...chunks(1)]);
      harness.startHost(queues, { batch: async () => undefined }, 1, { tracer });
      await eventually('two spans', 30_000, () => spans.length === 2);
      expect(spans).toEqual([
        { name: 'process batch', parent: parentIds },
        { name: 'process batch', parent: undefined },
      ]);
    });

    test('a host needs a handler and a slot for each queue', () => {
      const queues = harness.connect(getBackend().address);
      const { pool, log } = harness;
      expect(() =>
        startWorkerHost({
          queues,
          lane: pool,
          log,
          concurrency: { batch: 1, direct: 1 },
          // @ts-expect-error direct has no handler
          handlers: { batch: async () => undefined },
        }),
      ).toThrow('direct has no handler');
      const handlers = { batch: async () => undefined };
      expect(() => startWorkerHost({ queues, lane: pool, log, concurrency: { batch: 0 }, handlers })).toThrow(
        'slot',
      );
    });
  });
}
