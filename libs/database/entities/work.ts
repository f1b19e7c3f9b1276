/** What is to be done: tasks, batches with their chunks, every try at them, and the workers that try. */
import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import type {
  BatchErrorCode,
  BatchStatus,
  DeviceState,
  HeldModelState,
  OutputFormat,
  RunningWork,
  TaskError,
  TaskStatus,
} from '@millrace/contracts';

@Entity('workers')
export class WorkerRow {
  @PrimaryColumn('text') id: string;
  @Column('text', { array: true }) pools: string[];
  @Column('int') slots: number;
  @Column('text') host: string;
  @Column('int') pid: number;
  @Column('timestamptz', { default: () => 'now()' }) startedAt: Date;
  @Column('timestamptz', { default: () => 'now()' }) seenAt: Date;
  /** Whether its consumers have lately proved that they take work. */
  @Column('boolean', { default: true }) consuming: boolean;
  @Column('text', { default: '' }) version: string;
  /** Resident memory of its process. */
  @Column('bigint', { default: 0 }) memoryBytes: number;
  @Column('jsonb', { default: [] }) running: RunningWork[];
  @Column('jsonb', { default: [] }) models: HeldModelState[];
  @Column('jsonb', { nullable: true }) device: DeviceState | null;
}

/** A model that somebody wants loaded, or no longer. */
@Entity('model_wishes')
export class DesiredModelRow {
  @PrimaryColumn('text') model: string;
  @Column('boolean') isDesired: boolean;
  @Column('timestamptz', { default: () => 'now()' }) changedAt: Date;
}

export interface StoredMedia {
  readonly key: string;
  readonly type: string;
  readonly bytes: number;
}

export interface StoredProgress {
  readonly percent?: number;
  /** What the estimate showed when the upstream spoke first. */
  readonly minPercent?: number;
  /** Percent of its newest fact, and when that was written. */
  readonly publishedPercent?: number;
  readonly publishedAt?: string;
  readonly queuePosition?: number;
  readonly stage?: string;
  readonly log?: string;
}

@Entity('tasks')
export class TaskRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') kind: string;
  @Column('text') model: string;
  @Column('text') provider: string;
  @Column('text') pool: string;
  @Column('text', { default: 'queued' })
  status: TaskStatus;
  /** The kind's body, as it was parsed; null where it lies in the store, under `inputKey`. */
  @Column('json', { nullable: true }) input: unknown;
  @Column('text', { nullable: true }) inputKey: string | null;
  @Column('json', { nullable: true }) output: unknown;
  /** Where the output lies when it is too large for a row. */
  @Column('text', { nullable: true }) outputKey: string | null;
  /** What the output refers to by index, in the store. */
  @Column('jsonb', { nullable: true }) media: StoredMedia[] | null;
  /** As the upstream said last; its percent never falls. */
  @Column('jsonb', { nullable: true }) progress: StoredProgress | null;
  @Column('json', { nullable: true }) error: TaskError | null;
  @Column('jsonb', { nullable: true }) metadata: Record<string, string> | null;
  @Column('int', { default: 0 }) priority: number;
  @Column('int', { default: 0 }) attempt: number;
  @Column('int', { default: 1 }) generation: number;
  @Column('int', { default: 0 }) sequence: number;
  @Column('text', { nullable: true }) workerId: string | null;
  @Column('text', { nullable: true }) upstreamRunId: string | null;
  @Column('timestamptz', { nullable: true }) runAt: Date | null;
  @Column('timestamptz', { nullable: true }) deadline: Date | null;
  /** Expires when it has not begun by then. */
  @Column('timestamptz', { nullable: true }) startBy: Date | null;
  /** Time of one provider call, where the request names it. */
  @Column('int', { nullable: true }) timeoutMs: number | null;
  @Column('jsonb', { nullable: true }) fallbackModels: string[] | null;
  /** The task that this one is another try at. */
  @Column('text', { nullable: true }) retryOf: string | null;
  /** Whose use it is. */
  @Column('text', { nullable: true }) apiKeyId: string | null;
  /** How much work it is, in the kind's own measure. */
  @Column('double precision', { default: 1 }) work: number;
  /** How long it should take by what was measured before it began. */
  @Column('int', { nullable: true }) estimateMs: number | null;
  /** When its first try began that the newest goes on from. */
  @Column('timestamptz', { nullable: true }) runStartedAt: Date | null;
  @Column('bigint', { nullable: true }) inputTokens: number | null;
  @Column('bigint', { nullable: true }) outputTokens: number | null;
  /** When its newest job may run. */
  @Column('timestamptz', { default: () => 'now()' }) queuedAt: Date;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { nullable: true }) startedAt: Date | null;
  @Column('timestamptz', { nullable: true }) finishedAt: Date | null;
}

@Entity('batches')
export class BatchRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') inputFileId: string;
  @Column('text') endpoint: string;
  @Column('text') kind: string;
  /** The model of every line; known once the plan has read them. */
  @Column('text', { nullable: true }) model: string | null;
  @Column('text', { nullable: true }) provider: string | null;
  @Column('text', { nullable: true }) pool: string | null;
  @Column('text') completionWindow: string;
  @Column('int', { nullable: true }) outputExpiresAfterS: number | null;
  @Column('jsonb', { nullable: true }) metadata: Record<string, string> | null;
  @Column('text', { default: 'jsonl' }) outputFormat: OutputFormat;
  @Column('text', { default: 'validating' }) status: BatchStatus;
  /** Why the rest of its lines are recorded as not run, once they are. */
  @Column('text', { nullable: true }) closing: 'cancelled' | 'expired' | null;
  /** No chunk is dispatched meanwhile. Never set together with `closing`: the end of a batch is not held back. */
  @Column('boolean', { default: false }) paused: boolean;
  /** A code that says why, where it was not its owner who paused it. */
  @Column('text', { nullable: true }) pauseReason: string | null;
  /** 0 is soonest, to -100: among the batches of its workspace. */
  @Column('int', { default: 0 }) priority: number;
  /** The batch whose failed lines these are. */
  @Column('text', { nullable: true }) retryOf: string | null;
  /** Whose use it is. */
  @Column('text', { nullable: true }) apiKeyId: string | null;
  /** Lines a second, the newest weighing most; taken at each commit. */
  @Column('double precision', { nullable: true }) recentRate: number | null;
  @Column('timestamptz', { nullable: true }) rateMeasuredAt: Date | null;
  @Column('text', { nullable: true }) outputFileId: string | null;
  @Column('text', { nullable: true }) errorFileId: string | null;
  @Column('int', { default: 0 }) planAttempt: number;
  @Column('int', { default: 1 }) planGeneration: number;
  @Column('timestamptz', { nullable: true }) plannedAt: Date | null;
  @Column('int', { default: 0 }) chunkCount: number;
  @Column('int', { default: 0 }) chunksDone: number;
  /** Places among its ends that are kept for chunks that run again. */
  @Column('int', { default: 0 }) chunksReopened: number;
  /** Tenths that were told as milestones before such chunks were taken out of the counters. */
  @Column('int', { default: 0 }) publishedTenths: number;
  @Column('bigint', { default: 0 }) total: number;
  @Column('bigint', { default: 0 }) completed: number;
  @Column('bigint', { default: 0 }) failed: number;
  @Column('bigint', { default: 0 }) canceled: number;
  @Column('bigint', { default: 0 }) expired: number;
  @Column('bigint', { default: 0 }) inputTokens: number;
  @Column('bigint', { default: 0 }) outputTokens: number;
  /** Number of its newest fact; taken by every statement that writes one, under this row's lock. */
  @Column('int', { default: 0 }) sequence: number;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz') expiresAt: Date;
  @Column('timestamptz', { nullable: true }) inProgressAt: Date | null;
  @Column('timestamptz', { nullable: true }) finalizingAt: Date | null;
  @Column('timestamptz', { nullable: true }) completedAt: Date | null;
  @Column('timestamptz', { nullable: true }) failedAt: Date | null;
  @Column('timestamptz', { nullable: true }) expiredAt: Date | null;
  @Column('timestamptz', { nullable: true }) cancellingAt: Date | null;
  @Column('timestamptz', { nullable: true }) cancelledAt: Date | null;
}

@Entity('chunks')
export class ChunkRow {
  @PrimaryColumn('text') batchId: string;
  @PrimaryColumn('int') index: number;
  @Column('text') workspaceId: string;
  @Column('text', { default: 'pending' }) status: 'pending' | 'queued' | 'running' | 'done';
  /** Number of the newest try; a commit that names an older one changes nothing. */
  @Column('int', { default: 0 }) attempt: number;
  /** Number of the newest job in the queue; a job that names an older one is stale. */
  @Column('int', { default: 0 }) generation: number;
  /** The attempt at which it was last halved: losses up to then no longer count. */
  @Column('int', { default: 0 }) splitAttempt: number;
  /** Line of the input file, from 1. */
  @Column('bigint') firstLine: number;
  @Column('int') lines: number;
  @Column('bigint') byteStart: number;
  @Column('bigint') byteLength: number;
  @Column('text', { nullable: true }) workerId: string | null;
  @Column('timestamptz', { nullable: true }) notBefore: Date | null;
  @Column('timestamptz', { nullable: true }) queuedAt: Date | null;
  @Column('timestamptz', { nullable: true }) startedAt: Date | null;
  @Column('timestamptz', { nullable: true }) finishedAt: Date | null;
  @Column('int', { default: 0 }) completed: number;
  @Column('int', { default: 0 }) failed: number;
  @Column('int', { default: 0 }) canceled: number;
  @Column('int', { default: 0 }) expired: number;
  @Column('text', { nullable: true }) outputKey: string | null;
  /** Where in that object its part begins, and how long it is; null where the object holds nothing else. */
  @Column('bigint', { nullable: true }) outputStart: number | null;
  @Column('bigint', { nullable: true }) outputBytes: number | null;
  @Column('text', { nullable: true }) errorKey: string | null;
  @Column('bigint', { nullable: true }) errorStart: number | null;
  @Column('bigint', { nullable: true }) errorBytes: number | null;
  /** The place among its batch's ends that it had when its segments were lost, and takes again. */
  @Column('int', { nullable: true }) completionOrder: number | null;
}

@Entity('attempts')
export class AttemptRow {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' }) id: number;
  @Column('text') workspaceId: string;
  @Column('text', { nullable: true }) taskId: string | null;
  @Column('text', { nullable: true }) batchId: string | null;
  @Column('int', { nullable: true }) chunk: number | null;
  @Column('int') number: number;
  @Column('text') workerId: string;
  @Column('text') provider: string;
  @Column('text') model: string;
  @Column('timestamptz', { default: () => 'now()' }) startedAt: Date;
  @Column('timestamptz', { nullable: true }) finishedAt: Date | null;
  /** `released`: handed back by a draining worker; `lost`: its worker died or was fenced out. */
  @Column('text', { nullable: true }) outcome:
    'succeeded' | 'failed' | 'released' | 'lost' | 'canceled' | null;
  @Column('text', { nullable: true }) errorCode: string | null;
  /** Of a task: how much work it is, in the kind's own measure. */
  @Column('double precision', { default: 1 }) work: number;
  @Column('int', { nullable: true }) lines: number | null;
  /** The how-manieth of its batch's chunks it ended, from 1; set where its result counts. */
  @Column('int', { nullable: true }) completionOrder: number | null;
  @Column('bigint', { nullable: true }) inputTokens: number | null;
  @Column('bigint', { nullable: true }) outputTokens: number | null;
  @Column('int', { nullable: true }) queueMs: number | null;
  @Column('int', { nullable: true }) providerMs: number | null;
  @Column('int', { nullable: true }) storeMs: number | null;
  /** Provider calls by duration: upper bound in ms → count. */
  @Column('jsonb', { nullable: true }) latencyHistogram: Record<string, number> | null;
  @Column('text', { nullable: true }) kind: string | null;
  @Column('text', { nullable: true }) apiKeyId: string | null;
  /** Tells the provider's token from its others. */
  @Column('text', { nullable: true }) token: string | null;
  @Column('int', { nullable: true }) failedLines: number | null;
  /** Of a chunk: lines that failed, by the code of their error. */
  @Column('jsonb', { nullable: true }) errorCodes: Record<string, number> | null;
  /** From the call to the first piece of a streamed answer. */
  @Column('int', { nullable: true }) firstTokenMs: number | null;
  @Column('bigint', { nullable: true }) inputBytes: number | null;
  @Column('bigint', { nullable: true }) outputBytes: number | null;
  @Column('int', { nullable: true }) images: number | null;
  @Column('bigint', { nullable: true }) mediaMs: number | null;
  /** In billionths of a US dollar, as the provider has said; null where it says nothing. */
  @Column('bigint', { nullable: true }) reportedCost: number | null;
  @Column('int', { nullable: true }) reportedRequests: number | null;
  /** The same by the table of prices; null where that has no price. */
  @Column('bigint', { nullable: true }) estimatedCost: number | null;
}

@Entity('batch_errors')
export class BatchErrorRow {
  @PrimaryColumn('text') batchId: string;
  @PrimaryColumn('int') position: number;
  @Column('text') code: BatchErrorCode;
  @Column('text') message: string;
  @Column('bigint', { nullable: true }) line: number | null;
  @Column('text', { nullable: true }) param: string | null;
}

@Entity('idempotency_keys')
export class IdempotencyKeyRow {
  @PrimaryColumn('text') workspaceId: string;
  @PrimaryColumn('text') route: string;
  @PrimaryColumn('text') key: string;
  /** SHA-256 of the request that the key was first used for. */
  @Column('bytea') requestHash: Buffer;
  @Column('text') resourceId: string;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
}
