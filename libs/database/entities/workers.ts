/** Workers that send heartbeats, and the models that should be loaded. */
import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { WorkerHardware, HostedModelState, RunningWork } from '@millrace/contracts';

@Entity('workers')
export class WorkerRow {
  @PrimaryColumn('text') id: string;
  @Column('text', { array: true }) pools: string[];
  @Column('int') slots: number;
  @Column('text') host: string;
  @Column('int') pid: number;
  @Column('timestamptz', { default: () => 'now()' }) startedAt: Date;
  /** Time of its last heartbeat. */
  @Column('timestamptz', { default: () => 'now()' }) seenAt: Date;
  /** Whether its queue consumers have recently shown that they take jobs. */
  @Column('boolean', { default: true }) consuming: boolean;
  @Column('text', { default: '' }) version: string;
  /** Resident memory of its process. */
  @Column('bigint', { default: 0 }) memoryBytes: number;
  @Column('jsonb', { default: [] }) running: RunningWork[];
  @Column('jsonb', { default: [] }) models: HostedModelState[];
  @Column('jsonb', { nullable: true }) device: WorkerHardware | null;
}

/** A model that should be loaded, or unloaded. */
@Entity('desired_models')
export class DesiredModelRow {
  @PrimaryColumn('text') model: string;
  @Column('boolean') isDesired: boolean;
  @Column('timestamptz', { default: () => 'now()' }) changedAt: Date;
}
