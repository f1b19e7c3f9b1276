/** Usage of attempts: entries that wait to be summed, and sums by the hour. Costs are in billionths of a US dollar. */
import { Column, Entity, PrimaryColumn } from 'typeorm';

abstract class UsageMeasures {
  @Column('bigint') attempts: number;
  @Column('bigint') requests: number;
  @Column('bigint') failedRequests: number;
  @Column('bigint') inputTokens: number;
  @Column('bigint') outputTokens: number;
  @Column('bigint') inputBytes: number;
  @Column('bigint') outputBytes: number;
  @Column('bigint') images: number;
  @Column('bigint') mediaMs: number;
  @Column('bigint') reportedCost: number;
  @Column('bigint') reportedRequests: number;
  @Column('bigint') estimatedCost: number;
  @Column('bigint') estimatedRequests: number;
  @Column('bigint') queueMs: number;
  @Column('bigint') upstreamMs: number;
  @Column('bigint') storeMs: number;
  @Column('bigint') firstTokenMs: number;
  @Column('bigint') firstTokenCount: number;
  @Column('jsonb') errors: Record<string, number>;
}

@Entity('usage_hours')
export class UsageHourRow extends UsageMeasures {
  @PrimaryColumn('text') workspaceId: string;
  @PrimaryColumn('timestamptz') hour: Date;
  @PrimaryColumn('text') model: string;
  @PrimaryColumn('text') provider: string;
  @PrimaryColumn('text') kind: string;
  /** Empty if there was none. */
  @PrimaryColumn('text') apiKeyId: string;
  @PrimaryColumn('boolean') isBatch: boolean;
  @PrimaryColumn('text') token: string;
}

@Entity('usage_entries')
export class UsageEntryRow extends UsageMeasures {
  @PrimaryColumn('bigint') attemptId: number;
  @Column('text') workspaceId: string;
  @Column('timestamptz') hour: Date;
  @Column('text') model: string;
  @Column('text') provider: string;
  @Column('text') kind: string;
  @Column('text') apiKeyId: string;
  @Column('boolean') isBatch: boolean;
  @Column('text') token: string;
}
