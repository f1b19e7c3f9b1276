/** Starts the queue consumers of this worker: one host per lane (pool and provider), with a handler for each queue. */
import { startWorkerHost, type JobHandler, type QueueMetrics, type Queues, type WorkerHost } from '#queues';
import { queueRunSeconds, queueWaitSeconds, type Logger } from '#telemetry';
import { runChunk, type RunChunkDeps } from './batches/chunks/run-chunk.ts';
import { planBatch, type PlanBatchDeps } from './batches/planning/plan-batch.ts';
import { runTask, type RunTaskDeps } from './tasks/run-task.ts';

export interface QueueHostOptions {
  readonly queues: Queues;
  readonly lanes: readonly string[];
  /** Chunks and direct tasks that a lane may run at once. */
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

/** One host serves each lane, and one more the `plan` queue, which belongs to no lane. */
export function startQueueHosts(options: QueueHostOptions): WorkerHost[] {
  const { queues, log, chunkDeps, taskDeps, planDeps } = options;
  const batch: JobHandler<'batch'> = (job, run) => runChunk(job, chunkDeps, run.signal, run.log);
  const direct: JobHandler<'direct'> = (job, run) => runTask(job, taskDeps, run.signal, run.log);
  const plan: JobHandler<'plan'> = (job, run) => planBatch(job, planDeps, run.signal, run.log);
  const concurrency = { batch: options.batchSlots, direct: options.directSlots };
  const common = { queues, log, metrics };
  return [
    startWorkerHost({ ...common, lane: null, concurrency: { plan: planSlots }, handlers: { plan } }),
    ...options.lanes.map((lane) =>
      startWorkerHost({ ...common, lane, concurrency, handlers: { batch, direct } }),
    ),
  ];
}
