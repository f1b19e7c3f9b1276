/** The queues: the only library that knows BullMQ. Start at `catalogue.ts`. */
export { backendKinds } from './backend.ts';
export type { BackendAddress } from './open-backend.ts';
export { buildJobId as jobIdOf, type QueuePayload as PayloadOf, type QueueName } from './catalogue.ts';
export { migrateQueues } from './postgres/schema.ts';
export { toQueuePriority as queuePriority } from './queue-priority.ts';
export { connectQueues, type NewJob, type QueueCounts, type Queues } from './connect-queues.ts';
export { startWorkerHost, type CancelFilter as CancelMatch, type WorkerHost } from './worker/worker-host.ts';
export {
  JobInterrupted as Interrupted,
  type InterruptReason as Interruption,
} from './worker/job-interrupted.ts';
export type { JobHandler as Handler, JobOutcome, JobRun, QueueMetrics } from './worker/run-job.ts';
export type { QueueHealth } from './worker/queue-consumer.ts';
