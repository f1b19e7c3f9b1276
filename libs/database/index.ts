export { Database, type DatabaseOptions, type Transaction as Tx } from './database.ts';
export type {
  AttemptRow,
  BatchErrorRow,
  BatchRow,
  ChunkRow,
  DeliveryAttemptRow,
  FileRow,
  DesiredModelRow as ModelWishRow,
  StoredMedia,
  StoredProgress,
  TaskRow,
  UploadPartRow,
  UploadRow,
  WebhookEndpointRow,
} from './entities/index.ts';
export {
  appendEvent as appendFact,
  FeedStore,
  type NewEvent as NewFact,
  type PublishResult as Stamped,
  type PublishedRange as StampedRange,
} from './stores/feed.store.ts';
export type { Idempotency } from './transactions/idempotency-keys.ts';
export {
  GarbageCollectionStore as GarbageStore,
  type ListedObject,
} from './stores/garbage-collection.store.ts';
export { LeaseStore, type Lease } from './stores/lease.store.ts';
export { AccessStore, type Caller } from './stores/access.store.ts';
export { BatchControlStore as BatchLifeStore } from './stores/batch-control.store.ts';
export { BatchStore, type BatchWithErrors, type NewBatch } from './stores/batch.store.ts';
export { RetentionStore } from './stores/retention.store.ts';
export { CheckpointStore } from './stores/checkpoint.store.ts';
export { CompositionStore } from './stores/composition.store.ts';
export {
  ResultStore,
  type FailedChunk,
  type AvailableResults as ResultsSoFar,
} from './stores/result.store.ts';
export {
  ChunkStore,
  type QueuedChunk as ChunkDelivery,
  type ChunkResult,
  type ClaimedChunk,
  type StoredSegment,
} from './stores/chunk.store.ts';
export {
  DeliveryStore,
  type DeliveryAttempt as DeliveryTry,
  type LeasedDelivery,
} from './stores/delivery.store.ts';
export {
  DeliveryLogStore,
  type ListedDelivery,
  type ReplayResult as Replay,
} from './stores/delivery-log.store.ts';
export {
  WebhookEndpointStore as EndpointStore,
  type WebhookEndpointSettings as EndpointSettings,
  type NewWebhookEndpoint as NewEndpoint,
} from './stores/webhook-endpoint.store.ts';
export { FileStore, type NewFile, type Segment } from './stores/file.store.ts';
export { UploadStore, type UploadWithFile } from './stores/upload.store.ts';
export {
  PlanStore,
  type AcceptedPlan,
  type Plan,
  type QueuedPlan as PlanDelivery,
  type PlannedChunk,
} from './stores/plan.store.ts';
export {
  TaskStore,
  type ClaimedTask,
  type EndedTask,
  type NewTask,
  type TaskWithWebhook,
  type QueuePosition as QueuePlace,
  type QueuedTask as TaskDelivery,
  type TaskResult,
} from './stores/task.store.ts';
export type { Metering } from './statements/metering.sql.ts';
export {
  UsageStore,
  type UsageGroup,
  type UsageQuery,
  type UsageRow as UsedRow,
  type UsageSums as UsedSums,
  type TokenUsage as UsedToken,
} from './stores/usage.store.ts';
export { DesiredModelStore as ModelWishStore } from './stores/desired-model.store.ts';
export {
  WorkerStore,
  type AliveWorker as SeenWorker,
  type WorkerSnapshot as SeenWorkers,
  type WorkerIdentity as WorkerSelf,
  type WorkerState,
} from './stores/worker.store.ts';
