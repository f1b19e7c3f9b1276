export { Database, type DatabaseOptions, type Tx } from './database.ts';
export type {
  AttemptRow,
  BatchErrorRow,
  BatchRow,
  ChunkRow,
  DeliveryAttemptRow,
  FileRow,
  ModelWishRow,
  StoredMedia,
  StoredProgress,
  TaskRow,
  UploadPartRow,
  UploadRow,
  WebhookEndpointRow,
} from './entities/index.ts';
export { appendFact, FeedStore, type NewFact, type Stamped, type StampedRange } from './stores/feed.store.ts';
export type { Idempotency } from './stores/idempotency.ts';
export { GarbageStore, type ListedObject } from './stores/garbage.store.ts';
export { LeaseStore, type Lease } from './stores/lease.store.ts';
export { AccessStore, type Caller } from './stores/access.store.ts';
export { BatchLifeStore } from './stores/batch-life.store.ts';
export { BatchStore, type BatchWithErrors, type NewBatch } from './stores/batch.store.ts';
export { RetentionStore } from './stores/retention.store.ts';
export { CheckpointStore } from './stores/checkpoint.store.ts';
export { CompositionStore } from './stores/composition.store.ts';
export { ResultStore, type FailedChunk, type ResultsSoFar } from './stores/result.store.ts';
export {
  ChunkStore,
  type ChunkDelivery,
  type ChunkResult,
  type ClaimedChunk,
  type StoredSegment,
} from './stores/chunk.store.ts';
export { DeliveryStore, type DeliveryTry, type LeasedDelivery } from './stores/delivery.store.ts';
export { DeliveryLogStore, type ListedDelivery, type Replay } from './stores/delivery-log.store.ts';
export { EndpointStore, type EndpointSettings, type NewEndpoint } from './stores/endpoint.store.ts';
export { FileStore, type NewFile, type Segment } from './stores/file.store.ts';
export { UploadStore, type UploadWithFile } from './stores/upload.store.ts';
export {
  PlanStore,
  type AcceptedPlan,
  type Plan,
  type PlanDelivery,
  type PlannedChunk,
} from './stores/plan.store.ts';
export {
  TaskStore,
  type ClaimedTask,
  type EndedTask,
  type NewTask,
  type TaskWithWebhook,
  type QueuePlace,
  type TaskDelivery,
  type TaskResult,
} from './stores/task.store.ts';
export type { Metering } from './statements/metering.sql.ts';
export {
  UsageStore,
  type UsageGroup,
  type UsageQuery,
  type UsedRow,
  type UsedSums,
  type UsedToken,
} from './stores/usage.store.ts';
export { ModelWishStore } from './stores/model-wish.store.ts';
export {
  WorkerStore,
  type SeenWorker,
  type SeenWorkers,
  type WorkerSelf,
  type WorkerState,
} from './stores/worker.store.ts';
