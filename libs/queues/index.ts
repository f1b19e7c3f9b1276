/** The job queues. This library alone imports BullMQ. Start at `catalogue.ts`. */
export { assertQueueBackendUsable } from './assert-usable.ts';
export { backendKinds } from './backend.ts';
export type { BackendAddress } from './open-backend.ts';
export { buildJobId, type QueuePayload, type QueueName, type TaskRoute } from './catalogue.ts';
export { migrateQueues } from './postgres/schema.ts';
export { buildTaskJob } from './task-job.ts';
export { connectQueues, type NewJob, type QueueCounts, type Queues } from './connect-queues.ts';
export { startWorkerHost, type CancelFilter, type WorkerHost } from './worker/worker-host.ts';
export { JobInterrupted, type InterruptReason } from './worker/job-interrupted.ts';
export type { JobHandler, JobOutcome, JobRun, QueueMetrics } from './worker/run-job.ts';
export type { QueueHealth } from './worker/queue-consumer.ts';
