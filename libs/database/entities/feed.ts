/** Facts, the feeds they are stamped into, and who holds which duty. */
import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

@Entity('events')
export class EventRow {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' }) number: number;
  @Column('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') subject: string;
  @Column('int') sequence: number;
  @Column('text') type: string;
  @Column('boolean', { default: false }) terminal: boolean;
  @Column('jsonb') data: Record<string, unknown>;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  /** Null until the relay has stamped it. */
  @Column('bigint', { nullable: true }) feedPosition: number | null;
}

@Entity('feeds')
export class FeedRow {
  @PrimaryColumn('text') workspaceId: string;
  @Column('bigint') position: number;
  /** Facts up to this position, and from before this time, are no longer kept. */
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
