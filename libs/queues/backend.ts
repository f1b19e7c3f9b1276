/** What the two backends have in common beyond BullMQ's own classes: how to ask one, and how to leave it. */
import type { BackendFactory, QueueOptions, WorkerOptions } from 'bullmq';

export const backendKinds = ['redis', 'postgres'] as const;

export interface QueueBackend {
  readonly kind: (typeof backendKinds)[number];
  readonly factory: BackendFactory;
  /** Given to a BullMQ `Queue` and `Worker`: their connection, and where their names live. */
  readonly queueOptions: QueueOptions;
  readonly workerOptions: WorkerOptions;
  /** Of at most 1,000 ids, those whose job is still there in whatever state. One round trip. */
  findExistingJobs(queue: string, ids: readonly string[]): Promise<Set<string>>;
  /** Resolves when the server answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
