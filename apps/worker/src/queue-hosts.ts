/** A worker's hosts: one a pool, each with a handler for every queue that it serves. */
import type { AppConfig } from '#config';
import { startWorkerHost, type Handler, type QueueMetrics, type Queues, type WorkerHost } from '#queues';
import { queueRun, queueWait, type Logger } from '#telemetry';
import { planBatch, type PlanBatchDeps } from './batches/planning/plan-batch.ts';
import { runChunk, type RunChunkDeps } from './batches/chunks/run-chunk.ts';
import { runTask, type RunTaskDeps } from './tasks/run-task.ts';

export interface QueueHostOptions {
  readonly queues: Queues;
  readonly log: Logger;
  readonly runner: RunChunkDeps;
  readonly tasks: RunTaskDeps;
  readonly planner: PlanBatchDeps;
}

/** Plans under way at once: one may read ten million lines, and whoever has two hundred does not wait for it. */
const plansAtOnce = 2;

const metrics: QueueMetrics = {
  observe(queue, { waitMs, runMs, outcome }) {
    queueWait.observe({ queue }, waitMs / 1_000);
    queueRun.observe({ queue, outcome }, runMs / 1_000);
  },
};

/** The first pool's host also serves the plans, which belong to no pool. */
export function startQueueHosts(config: AppConfig, parts: QueueHostOptions): WorkerHost[] {
  const { queues, log, runner, tasks, planner } = parts;
  const batch: Handler<'batch'> = (job, run) => runChunk(job, runner, run.signal, run.log);
  const direct: Handler<'direct'> = (job, run) => runTask(job, tasks, run.signal, run.log);
  const plan: Handler<'plan'> = (job, run) => planBatch(job, planner, run.signal, run.log);
  const concurrency = { batch: config.WORKER_SLOTS, direct: config.WORKER_DIRECT_SLOTS };
  return config.WORKER_POOLS.map((pool, at) => {
    const options = { queues, pool, log, metrics };
    if (at > 0) return startWorkerHost({ ...options, concurrency, handlers: { batch, direct } });
    return startWorkerHost({
      ...options,
      concurrency: { ...concurrency, plan: plansAtOnce },
      handlers: { batch, direct, plan },
    });
  });
}
