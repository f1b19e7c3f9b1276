/** State of background jobs between two runs. */
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A garbage collection: a pass over all objects, and the last key that it has checked. */
@Entity('garbage_collections')
export class GarbageCollectionRow {
  @PrimaryColumn('text') name: string;
  @Column('text', { default: '' }) afterKey: string;
  @Column('timestamptz', { default: () => 'now()' }) startedAt: Date;
  @Column('timestamptz', { nullable: true }) endedAt: Date | null;
}

/** A workspace's tags in a lane's fair queue (start-time fair queueing, dispatch-chunks.sql.ts). Both count lines. */
@Entity('fair_queue_tags')
export class FairQueueTagRow {
  @PrimaryColumn('text') lane: string;
  @PrimaryColumn('text') workspaceId: string;
  /** Of its last claimed chunk. The maximum of a lane is the lane's virtual time. */
  @Column('bigint') startTag: number;
  @Column('bigint') finishTag: number;
}

/** An object with the records of a chunk's finished lines, kept while its other lines run. */
@Entity('checkpoints')
export class CheckpointRow {
  @PrimaryColumn('text') batchId: string;
  @PrimaryColumn('int') chunk: number;
  @PrimaryColumn('text') objectKey: string;
  @Column('bigint') bytes: number;
}

/** A file whose many segments will be composed into one. */
@Entity('compositions')
export class CompositionRow {
  @PrimaryColumn('text') fileId: string;
  @Column('text') batchId: string;
  @Column('timestamptz', { default: () => 'now()' }) dueAt: Date;
}

/** An object that no row references any more. It is deleted when it is due: until then readers may hold its key. */
@Entity('retired_objects')
export class RetiredObjectRow {
  @PrimaryColumn('text') objectKey: string;
  /** The file that it was a segment of: if the file is deleted, the object is deleted at once. */
  @Column('text', { nullable: true }) fileId: string | null;
  @Column('timestamptz') dueAt: Date;
}
