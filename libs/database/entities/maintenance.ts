/** What the duties themselves remember between two rounds. */
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A pass over the whole object store, and how far it has come. */
@Entity('collections')
export class GarbageCollectionRow {
  @PrimaryColumn('text') name: string;
  @Column('text', { default: '' }) afterKey: string;
  @Column('timestamptz', { default: () => 'now()' }) startedAt: Date;
  @Column('timestamptz', { nullable: true }) endedAt: Date | null;
}

/** How many lines of a pool's work a workspace was served up to: what the dispatcher's turns go by. */
@Entity('turns')
export class FairQueueTagRow {
  @PrimaryColumn('text') pool: string;
  @PrimaryColumn('text') workspaceId: string;
  /** Where its newest chunk began; the greatest of a pool is the pool's clock. */
  @Column('bigint') startTag: number;
  @Column('bigint') finishTag: number;
}

/** Records of a chunk's finished lines, kept while the others still run. */
@Entity('checkpoints')
export class CheckpointRow {
  @PrimaryColumn('text') batchId: string;
  @PrimaryColumn('int') chunk: number;
  @PrimaryColumn('text') objectKey: string;
  @Column('bigint') bytes: number;
}

/** A file of many segments that is to become one of few. */
@Entity('compositions')
export class CompositionRow {
  @PrimaryColumn('text') fileId: string;
  @Column('text') batchId: string;
  @Column('timestamptz', { default: () => 'now()' }) dueAt: Date;
}

/** An object that no row refers to any more, and that readers may still be given until it is due. */
@Entity('retired_objects')
export class RetiredObjectRow {
  @PrimaryColumn('text') objectKey: string;
  /** The file that it was a segment of: with it, it goes at once. */
  @Column('text', { nullable: true }) fileId: string | null;
  @Column('timestamptz') dueAt: Date;
}
