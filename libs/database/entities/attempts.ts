/** Attempts at tasks and chunks. */
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

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
  /** `released`: its worker put the work back; `lost`: its worker crashed or lost its lock, and another attempt took over. */
  @Column('text', { nullable: true }) outcome:
    'succeeded' | 'failed' | 'released' | 'lost' | 'canceled' | null;
  @Column('text', { nullable: true }) errorCode: string | null;
  /** Of a task: amount of work, in the kind's own unit. */
  @Column('double precision', { default: 1 }) work: number;
  @Column('int', { nullable: true }) lines: number | null;
  /** 1-based completion order of this chunk within its batch; null if the attempt's result does not count. */
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
  /** Identifies which of the provider's tokens was used. */
  @Column('text', { nullable: true }) token: string | null;
  @Column('int', { nullable: true }) failedLines: number | null;
  /** Of a chunk: failed lines by error code. */
  @Column('jsonb', { nullable: true }) errorCodes: Record<string, number> | null;
  /** Time from the call to the first token of a streamed answer. */
  @Column('int', { nullable: true }) firstTokenMs: number | null;
  @Column('bigint', { nullable: true }) inputBytes: number | null;
  @Column('bigint', { nullable: true }) outputBytes: number | null;
  @Column('int', { nullable: true }) images: number | null;
  @Column('bigint', { nullable: true }) mediaMs: number | null;
  /** In billionths of a US dollar, as the provider reported it; null if it reported none. */
  @Column('bigint', { nullable: true }) reportedCost: number | null;
  @Column('int', { nullable: true }) reportedRequests: number | null;
  /** In billionths of a US dollar, from the price table; null if it has no price. */
  @Column('bigint', { nullable: true }) estimatedCost: number | null;
}
