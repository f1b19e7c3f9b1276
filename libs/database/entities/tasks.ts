/** Tasks, and the idempotency keys of requests that create tasks and batches. */
import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { TaskError, TaskStatus } from '@millrace/contracts';

export interface StoredMedia {
  readonly key: string;
  readonly type: string;
  readonly bytes: number;
}

export interface StoredProgress {
  readonly percent?: number;
  /** The estimate that was shown when the upstream first reported progress. */
  readonly minPercent?: number;
  /** Percentage of the last progress event, and when it was written. */
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
  /** The kind's request body, parsed; null if it is in object storage under `inputKey`. */
  @Column('json', { nullable: true }) input: unknown;
  @Column('text', { nullable: true }) inputKey: string | null;
  @Column('json', { nullable: true }) output: unknown;
  /** Set if the output is in object storage because it is too large for a row. */
  @Column('text', { nullable: true }) outputKey: string | null;
  /** The output's media in object storage; the output refers to them by index. */
  @Column('jsonb', { nullable: true }) media: StoredMedia[] | null;
  /** As last reported by the upstream. The percentage never decreases. */
  @Column('jsonb', { nullable: true }) progress: StoredProgress | null;
  @Column('json', { nullable: true }) error: TaskError | null;
  @Column('jsonb', { nullable: true }) metadata: Record<string, string> | null;
  @Column('int', { default: 0 }) priority: number;
  @Column('int', { default: 0 }) attempt: number;
  /** Number of its current queue job; a job with an older number is stale. */
  @Column('int', { default: 1 }) generation: number;
  /** Sequence of its last event. */
  @Column('int', { default: 0 }) sequence: number;
  @Column('text', { nullable: true }) workerId: string | null;
  @Column('text', { nullable: true }) upstreamRunId: string | null;
  @Column('timestamptz', { nullable: true }) runAt: Date | null;
  @Column('timestamptz', { nullable: true }) deadline: Date | null;
  /** The task expires if it has not started by then. */
  @Column('timestamptz', { nullable: true }) startBy: Date | null;
  /** Timeout of one provider call, if the request sets it. */
  @Column('int', { nullable: true }) timeoutMs: number | null;
  /** How long the caller waits for the provider beyond its calls. null: no client waits for the result. */
  @Column('int', { nullable: true }) patienceMs: number | null;
  @Column('jsonb', { nullable: true }) fallbackModels: string[] | null;
  /** The task that this one retries. */
  @Column('text', { nullable: true }) retryOf: string | null;
  /** The key that its usage is counted under. */
  @Column('text', { nullable: true }) apiKeyId: string | null;
  /** Amount of work, in the kind's own unit. */
  @Column('double precision', { default: 1 }) work: number;
  /** Expected duration, from measurements before its first attempt. */
  @Column('int', { nullable: true }) estimateMs: number | null;
  /** Start of the first attempt whose upstream run the current attempt continues. */
  @Column('timestamptz', { nullable: true }) runStartedAt: Date | null;
  @Column('bigint', { nullable: true }) inputTokens: number | null;
  @Column('bigint', { nullable: true }) outputTokens: number | null;
  /** When its current job may run. */
  @Column('timestamptz', { default: () => 'now()' }) queuedAt: Date;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { nullable: true }) startedAt: Date | null;
  @Column('timestamptz', { nullable: true }) finishedAt: Date | null;
}

@Entity('idempotency_keys')
export class IdempotencyKeyRow {
  @PrimaryColumn('text') workspaceId: string;
  @PrimaryColumn('text') route: string;
  @PrimaryColumn('text') key: string;
  /** SHA-256 of the request that first used the key. */
  @Column('bytea') requestHash: Buffer;
  @Column('text') resourceId: string;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
}
