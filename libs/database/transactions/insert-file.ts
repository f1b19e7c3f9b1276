import type { FilePurpose } from '@millrace/contracts';
import { FileRow, FileSegmentRow } from '../entities/index.ts';
import type { Transaction } from '../transaction.ts';

export interface Segment {
  readonly key: string;
  readonly bytes: number;
  readonly lines: number;
  /** Byte offset in its object, if the object holds more than this segment. */
  readonly offset?: number;
}

export interface NewFile {
  readonly id: string;
  readonly purpose: FilePurpose;
  readonly filename: string;
  readonly segments: readonly (Segment & { lineIndex?: Buffer })[];
  readonly expiresInS: number | null;
  /** The file is written later and will have this many lines. Until then its status is `uploaded` and it has no segments. */
  readonly expectedLines?: number;
}

/** Inserts a file and its segments. */
export async function insertFile(
  transaction: Transaction,
  workspaceId: string,
  file: NewFile,
): Promise<FileRow> {
  const sum = (field: 'bytes' | 'lines') =>
    file.segments.reduce((total, segment) => total + segment[field], 0);
  await insertFileRow(transaction, workspaceId, {
    ...file,
    bytes: sum('bytes'),
    lines: file.expectedLines ?? sum('lines'),
    status: file.expectedLines === undefined ? 'processed' : 'uploaded',
  });
  for (const [position, { key, bytes, lines, lineIndex }] of file.segments.entries()) {
    await transaction
      .repository(FileSegmentRow)
      .insert({ fileId: file.id, position, objectKey: key, bytes, lines, lineIndex: lineIndex ?? null });
  }
  return transaction.repository(FileRow).findOneByOrFail({ id: file.id });
}

type FileFields = Omit<NewFile, 'segments'> & Pick<FileRow, 'bytes' | 'lines' | 'status'>;

/** Inserts a file without segments: the caller inserts them. */
export async function insertFileRow(
  transaction: Transaction,
  workspaceId: string,
  file: FileFields,
): Promise<void> {
  await transaction.repository(FileRow).insert({
    id: file.id,
    workspaceId,
    purpose: file.purpose,
    filename: file.filename,
    bytes: file.bytes,
    lines: file.lines,
    status: file.status,
    expiresAt: file.expiresInS === null ? null : new Date(Date.now() + file.expiresInS * 1_000),
  });
}
