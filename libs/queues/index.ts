/** The queues: the only library that knows BullMQ. Start at `catalogue.ts`. */
export { backendKinds } from './backend.ts';
export type { BackendAddress } from './open-backend.ts';
export { jobIdOf, type PayloadOf, type QueueName } from './catalogue.ts';
export { migrateQueues } from './postgres/schema.ts';
export { queuePriority } from './priority.ts';
export { connectQueues, type NewJob, type QueueCounts, type Queues } from './producer.ts';
export { startWorkerHost, type CancelMatch, type WorkerHost } from './worker/host.ts';
export { Interrupted, type Interruption } from './worker/interrupted.ts';
export type { Handler, JobOutcome, JobRun, QueueMetrics } from './worker/run-job.ts';
export type { QueueHealth } from './worker/served-queue.ts';
