/** Files, their segments, and uploads. A file is an ordered list of segments; each segment is an object. */
import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { FilePurpose, UploadStatus } from '@millrace/contracts';

@Entity('files')
export class FileRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') purpose: FilePurpose;
  @Column('text') filename: string;
  @Column('bigint') bytes: number;
  @Column('bigint') lines: number;
  @Column('text', { default: 'processed' }) status: 'uploaded' | 'processed' | 'error';
  @Column('text', { nullable: true }) statusDetails: string | null;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { nullable: true }) expiresAt: Date | null;
  @Column('timestamptz', { nullable: true }) deletedAt: Date | null;
}

@Entity('file_segments')
export class FileSegmentRow {
  @PrimaryColumn('text') fileId: string;
  @PrimaryColumn('int') position: number;
  @Column('text') objectKey: string;
  @Column('bigint') bytes: number;
  @Column('bigint') lines: number;
  /** Sampled line offsets; see `LineIndexPart` in libs/domain. Null for outputs, and if no line begins in this segment. */
  @Column('bytea', { nullable: true, select: false }) lineIndex: Buffer | null;
  /** The first line that begins in it, counted from 0 in the file, and its byte offset in the segment. */
  @Column('bigint', { default: 0 }) firstLine: number;
  @Column('bigint', { default: 0 }) firstStart: number;
}

@Entity('uploads')
export class UploadRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') filename: string;
  @Column('text') mimeType: string;
  @Column('text') purpose: FilePurpose;
  /** Size of the file as declared: the parts that it is completed with must add up to it. */
  @Column('bigint') bytes: number;
  @Column('int', { nullable: true }) expiresAfterS: number | null;
  @Column('text', { default: 'pending' }) status: UploadStatus;
  /** Number and bytes of all stored parts, including parts that the file will not use. */
  @Column('int', { default: 0 }) parts: number;
  @Column('bigint', { default: 0 }) partBytes: number;
  /** The parts that it was completed with: completing it again with the same parts returns the same file. */
  @Column('text', { array: true, nullable: true }) partIds: string[] | null;
  @Column('text', { nullable: true }) fileId: string | null;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz') expiresAt: Date;
  /** Set while its parts are assembled: the upload does not expire meanwhile. */
  @Column('timestamptz', { nullable: true }) completingAt: Date | null;
  @Column('timestamptz', { nullable: true }) endedAt: Date | null;
}

/** A part that is not a segment of a file; see `PartLines` in libs/domain. Its object is deleted after its upload has ended. */
@Entity('upload_parts')
export class UploadPartRow {
  @PrimaryColumn('text') id: string;
  @Column('text') uploadId: string;
  @Column('text') objectKey: string;
  @Column('bigint') bytes: number;
  @Column('bigint') breaks: number;
  @Column('bigint') lines: number;
  @Column('bytea') head: Buffer;
  @Column('int') headText: number;
  @Column('boolean') tailFilled: boolean;
  @Column('bigint') firstStart: number;
  @Column('bytea', { select: false }) entries: Buffer;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
}
