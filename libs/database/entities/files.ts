/** A file is an ordered list of segments, each an object in the store; one that comes in parts is an upload first. */
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
  /** Where every so many lines begin; see `LineRun` in libs/domain. Null for outputs, and where none begins. */
  @Column('bytea', { nullable: true, select: false }) lineIndex: Buffer | null;
  /** The first line that begins in it, counted from 0 in the file, and where: bytes from the segment's start. */
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
  /** As announced: the parts of its file must have as many together. */
  @Column('bigint') bytes: number;
  @Column('int', { nullable: true }) expiresAfterS: number | null;
  @Column('text', { default: 'pending' }) status: UploadStatus;
  /** What was stored for it, parts that its file will not have included. */
  @Column('int', { default: 0 }) parts: number;
  @Column('bigint', { default: 0 }) partBytes: number;
  /** What it was completed with: the same again gets the same answer. */
  @Column('text', { array: true, nullable: true }) partIds: string[] | null;
  @Column('text', { nullable: true }) fileId: string | null;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz') expiresAt: Date;
  /** Its parts are being read, and are not to expire meanwhile. */
  @Column('timestamptz', { nullable: true }) completingAt: Date | null;
  @Column('timestamptz', { nullable: true }) endedAt: Date | null;
}

/** A part that no file has taken over; see `PartLines` in libs/domain. Where its upload is over, its object may go. */
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
