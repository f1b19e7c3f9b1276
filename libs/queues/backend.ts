/** What the Redis and Postgres backends provide beyond BullMQ's own classes. */
import type { BackendFactory, QueueOptions, WorkerOptions } from 'bullmq';

export const backendKinds = ['redis', 'postgres'] as const;

export interface QueueBackend {
  readonly kind: (typeof backendKinds)[number];
  readonly factory: BackendFactory;
  /** Options for BullMQ's `Queue`: the connection and the key prefix. */
  readonly queueOptions: QueueOptions;
  /** The same for BullMQ's `Worker`. */
  readonly workerOptions: WorkerOptions;
  /** Returns which of at most 1,000 ids have a job, in any state. One round trip. */
  findExistingJobs(queue: string, ids: readonly string[]): Promise<Set<string>>;
  /** Resolves when the server answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
