/** Events, the feeds that they are published into, and the leases of elected background jobs. */
import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

@Entity('events')
export class EventRow {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' }) number: number;
  @Column('text') id: string;
  @Column('text') workspaceId: string;
  /** Id of the task, batch or webhook endpoint that the event is about. */
  @Column('text') subject: string;
  @Column('int') sequence: number;
  @Column('text') type: string;
  @Column('boolean', { default: false }) terminal: boolean;
  @Column('jsonb') data: Record<string, unknown>;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  /** Null until the relay has published it. */
  @Column('bigint', { nullable: true }) feedPosition: number | null;
}

@Entity('feeds')
export class FeedRow {
  @PrimaryColumn('text') workspaceId: string;
  /** Position of its last event. */
  @Column('bigint') position: number;
  /** Expired events were deleted up to this position, and up to this time. */
  @Column('bigint', { default: 0 }) deletedUpToPosition: number;
  @Column('timestamptz', { nullable: true }) deletedUpToTime: Date | null;
}

@Entity('leases')
export class LeaseRow {
  @PrimaryColumn('text') name: string;
  @Column('text') holder: string;
  @Column('bigint') epoch: number;
  @Column('timestamptz') expiresAt: Date;
}
