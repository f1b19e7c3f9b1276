export { Database, type DatabaseOptions } from './database.ts';
export type { Transaction } from './transaction.ts';
export type {
  AttemptRow,
  BatchErrorRow,
  BatchRow,
  ChunkRow,
  DeliveryAttemptRow,
  DesiredModelRow,
  FileRow,
  StoredMedia,
  StoredProgress,
  TaskRow,
  UploadPartRow,
  UploadRow,
  WebhookEndpointRow,
} from './entities/index.ts';
export { AccessStore, type ApiKeyOwner } from './stores/access.store.ts';
export { BatchCompletionStore } from './stores/batch-completion.store.ts';
export { BatchControlStore } from './stores/batch-control.store.ts';
export { BatchStore, type NewBatch } from './stores/batch.store.ts';
export { CheckpointStore } from './stores/checkpoint.store.ts';
export { ChunkQueueStore, type QueuedChunk } from './stores/chunk-queue.store.ts';
export { ChunkStore, type ChunkResult, type ClaimedChunk, type StoredSegment } from './stores/chunk.store.ts';
export { CompositionStore } from './stores/composition.store.ts';
export { DeliveryLogStore, type ListedDelivery, type ReplayResult } from './stores/delivery-log.store.ts';
export { DeliveryStore, type DeliveryAttempt, type LeasedDelivery } from './stores/delivery.store.ts';
export { DesiredModelStore } from './stores/desired-model.store.ts';
export { FeedStore, type PublishedRange, type PublishResult } from './stores/feed.store.ts';
export { FileStore } from './stores/file.store.ts';
export { GarbageCollectionStore, type ListedObject } from './stores/garbage-collection.store.ts';
export { LeaseStore, type Lease } from './stores/lease.store.ts';
export {
  PlanStore,
  type AcceptedPlan,
  type Plan,
  type PlannedChunk,
  type QueuedPlan,
} from './stores/plan.store.ts';
export { ResultStore, type AvailableResults, type FailedChunk } from './stores/result.store.ts';
export { RetentionStore } from './stores/retention.store.ts';
export { TaskQueueStore, type QueuedTask } from './stores/task-queue.store.ts';
export { TaskRunStore, type ClaimedTask, type TaskResult } from './stores/task-run.store.ts';
export {
  TaskStore,
  type EndedTask,
  type NewTask,
  type QueuePosition,
  type TaskWithWebhook,
} from './stores/task.store.ts';
export { UploadCompletionStore } from './stores/upload-completion.store.ts';
export { UploadStore, type UploadWithFile } from './stores/upload.store.ts';
export {
  UsageStore,
  type TokenUsage,
  type UsageGroup,
  type UsageQuery,
  type UsageRow,
  type UsageSums,
} from './stores/usage.store.ts';
export { WebhookEndpointStore } from './stores/webhook-endpoint.store.ts';
export {
  WorkerStore,
  type AliveWorker,
  type WorkerIdentity,
  type WorkerSnapshot,
  type WorkerState,
} from './stores/worker.store.ts';
export type { Metering } from './statements/metering.sql.ts';
export { appendEvent, type NewEvent } from './transactions/append-event.ts';
export type { Idempotency } from './transactions/idempotency-keys.ts';
export type { NewFile, Segment } from './transactions/insert-file.ts';
export type { BatchWithErrors } from './transactions/load-batch.ts';
export type { NewWebhookEndpoint, WebhookEndpointSettings } from './transactions/webhook-endpoints.ts';
