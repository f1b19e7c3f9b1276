/** Starts the queue consumers of this worker: one host per pool, with a handler for each queue it serves. */
import { startWorkerHost, type JobHandler, type QueueMetrics, type Queues, type WorkerHost } from '#queues';
import { queueRunSeconds, queueWaitSeconds, type Logger } from '#telemetry';
import { runChunk, type RunChunkDeps } from './batches/chunks/run-chunk.ts';
import { planBatch, type PlanBatchDeps } from './batches/planning/plan-batch.ts';
import { runTask, type RunTaskDeps } from './tasks/run-task.ts';

export interface QueueHostOptions {
  readonly queues: Queues;
  readonly pools: readonly string[];
  /** Chunks and direct tasks that a pool may run at once. */
  readonly batchSlots: number;
  readonly directSlots: number;
  readonly chunkDeps: RunChunkDeps;
  readonly taskDeps: RunTaskDeps;
  readonly planDeps: PlanBatchDeps;
  readonly log: Logger;
}

/** One plan may read ten million lines for minutes, so a second slot keeps small batches moving. */
const planSlots = 2;

const metrics: QueueMetrics = {
  observe(queue, { waitMs, runMs, outcome }) {
    queueWaitSeconds.observe({ queue }, waitMs / 1_000);
    queueRunSeconds.observe({ queue, outcome }, runMs / 1_000);
  },
};

/** The host of the first pool also serves the `plan` queue, which belongs to no pool. */
export function startQueueHosts(options: QueueHostOptions): WorkerHost[] {
  const { queues, log, chunkDeps, taskDeps, planDeps } = options;
  const batch: JobHandler<'batch'> = (job, run) => runChunk(job, chunkDeps, run.signal, run.log);
  const direct: JobHandler<'direct'> = (job, run) => runTask(job, taskDeps, run.signal, run.log);
  const plan: JobHandler<'plan'> = (job, run) => planBatch(job, planDeps, run.signal, run.log);
  const concurrency = { batch: options.batchSlots, direct: options.directSlots };
  return options.pools.map((pool, at) => {
    const common = { queues, pool, log, metrics };
    if (at > 0) return startWorkerHost({ ...common, concurrency, handlers: { batch, direct } });
    return startWorkerHost({
      ...common,
      concurrency: { ...concurrency, plan: planSlots },
      handlers: { batch, direct, plan },
    });
  });
}
