/** Batches, their chunks, and the errors of batches that failed validation. */
import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { BatchErrorCode, BatchStatus, OutputFormat } from '@millrace/contracts';

@Entity('batches')
export class BatchRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') inputFileId: string;
  @Column('text') endpoint: string;
  @Column('text') kind: string;
  /** The model of every line; null until the batch is planned. */
  @Column('text', { nullable: true }) model: string | null;
  @Column('text', { nullable: true }) provider: string | null;
  @Column('text', { nullable: true }) pool: string | null;
  @Column('text') completionWindow: string;
  @Column('int', { nullable: true }) outputExpiresAfterS: number | null;
  @Column('jsonb', { nullable: true }) metadata: Record<string, string> | null;
  @Column('text', { default: 'jsonl' }) outputFormat: OutputFormat;
  @Column('text', { default: 'validating' }) status: BatchStatus;
  /** Why its remaining lines are recorded as not run; null while they still run. */
  @Column('text', { nullable: true }) closing: 'cancelled' | 'expired' | null;
  /** No chunk is dispatched while it is true. Never true together with `closing`: a pause does not delay a batch's end. */
  @Column('boolean', { default: false }) paused: boolean;
  /** An error code, if Millrace paused it; null if its owner did. */
  @Column('text', { nullable: true }) pauseReason: string | null;
  /** 0 (first) to -100 (last), among the batches of its workspace. */
  @Column('int', { default: 0 }) priority: number;
  /** The batch whose failed lines it retries. */
  @Column('text', { nullable: true }) retryOf: string | null;
  /** The key that its usage is counted under. */
  @Column('text', { nullable: true }) apiKeyId: string | null;
  /** Moving average of lines per second, updated by each commit. */
  @Column('double precision', { nullable: true }) recentRate: number | null;
  @Column('timestamptz', { nullable: true }) rateMeasuredAt: Date | null;
  @Column('text', { nullable: true }) outputFileId: string | null;
  @Column('text', { nullable: true }) errorFileId: string | null;
  @Column('int', { default: 0 }) planAttempt: number;
  /** Number of its current plan job; a job with an older number is stale. */
  @Column('int', { default: 1 }) planGeneration: number;
  @Column('timestamptz', { nullable: true }) plannedAt: Date | null;
  @Column('int', { default: 0 }) chunkCount: number;
  @Column('int', { default: 0 }) chunksDone: number;
  /** Chunks that were reopened and are not done again. Each keeps its completion order. */
  @Column('int', { default: 0 }) chunksReopened: number;
  /** Tenths that were published as milestones before chunks were reopened. */
  @Column('int', { default: 0 }) publishedTenths: number;
  @Column('bigint', { default: 0 }) total: number;
  @Column('bigint', { default: 0 }) completed: number;
  @Column('bigint', { default: 0 }) failed: number;
  @Column('bigint', { default: 0 }) canceled: number;
  @Column('bigint', { default: 0 }) expired: number;
  @Column('bigint', { default: 0 }) inputTokens: number;
  @Column('bigint', { default: 0 }) outputTokens: number;
  /** Sequence of its last event; every statement that writes an event increments it under this row's lock. */
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
  /** Number of its last attempt; the commit of an older attempt changes nothing. */
  @Column('int', { default: 0 }) attempt: number;
  /** Number of its current queue job; a job with an older number is stale. */
  @Column('int', { default: 0 }) generation: number;
  /** The attempt in which it was last split; lost attempts up to this one no longer count. */
  @Column('int', { default: 0 }) splitAttempt: number;
  /** 1-based line of the input file. */
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
  /** Offset and length of its part of that object; the offset is null if the object holds only this chunk. */
  @Column('bigint', { nullable: true }) outputStart: number | null;
  @Column('bigint', { nullable: true }) outputBytes: number | null;
  @Column('text', { nullable: true }) errorKey: string | null;
  @Column('bigint', { nullable: true }) errorStart: number | null;
  @Column('bigint', { nullable: true }) errorBytes: number | null;
  /** Set when it is reopened: the completion order that it had, and gets again. */
  @Column('int', { nullable: true }) completionOrder: number | null;
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
