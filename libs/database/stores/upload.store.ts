/** Uploads in parts while they are pending: create, add parts, cancel, and clean up abandoned parts. */
import type { FilePurpose, UploadStatus } from '@millrace/contracts';
import { Conflict, NotFound, OverLimit, type PartLines } from '#domain';
import type { Database } from '../database.ts';
import { FileRow, UploadPartRow, UploadRow } from '../entities/index.ts';
import { addUploadPart } from '../statements/upload-parts.sql.ts';
import type { Transaction } from '../transaction.ts';

export interface NewUpload {
  readonly id: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly purpose: FilePurpose;
  /** Size of the whole file. */
  readonly bytes: number;
  /** Seconds after which its file expires. */
  readonly expiresAfterS: number | null;
  /** Seconds after which the upload expires. */
  readonly expiresInS: number;
}

export interface NewPart {
  readonly id: string;
  readonly key: string;
  readonly lineCounts: PartLines;
}

/** Limits of all stored parts. They are above the file's size, because a client may send a part again after a lost answer. */
export interface UploadLimits {
  readonly parts: number;
  readonly bytes: number;
}

/** An upload with its file; null if it has none, or the file was deleted. */
export interface UploadWithFile {
  readonly upload: UploadRow;
  readonly file: FileRow | null;
}

const endings: Record<Exclude<UploadStatus, 'pending'>, string> = {
  completed: 'was completed',
  cancelled: 'was cancelled',
  expired: 'has expired',
};

/** Seconds for which a completion keeps its upload from expiring; the process that completes it may have crashed. */
const completionTimeoutS = 3_600;

export class UploadStore {
  constructor(private readonly database: Database) {}

  create(workspaceId: string, { expiresInS, ...upload }: NewUpload): Promise<UploadRow> {
    const expiresAt = new Date(Date.now() + expiresInS * 1_000);
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      await transaction.repository(UploadRow).insert({ ...upload, workspaceId, expiresAt });
      return loadUpload(transaction, workspaceId, upload.id);
    });
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<UploadWithFile> {
    return this.database.withWorkspace(workspaceId, (transaction) =>
      loadUploadWithFile(transaction, workspaceId, id),
    );
  }

  /** @throws NotFound; Conflict if the upload accepts no more parts. */
  getPending(workspaceId: string, id: string): Promise<UploadRow> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const upload = await loadUpload(transaction, workspaceId, id);
      if (upload.status !== 'pending') throw notPending(upload);
      return upload;
    });
  }

  /**
   * Adds a stored part. If this throws anything but Unavailable, the part's object is garbage.
   * @throws NotFound; Conflict if the upload accepts no more parts, OverLimit if it would exceed its limits.
   */
  addPart(
    workspaceId: string,
    uploadId: string,
    part: NewPart,
    limits: UploadLimits,
  ): Promise<UploadPartRow> {
    const { id, key, lineCounts } = part;
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const added = await transaction.execute(addUploadPart, [
        uploadId,
        workspaceId,
        limits.parts,
        limits.bytes,
        id,
        key,
        lineCounts.bytes,
        lineCounts.breaks,
        lineCounts.lines,
        lineCounts.head,
        lineCounts.headText,
        lineCounts.tailFilled,
        lineCounts.firstStart,
        lineCounts.entries,
      ]);
      if (added === 0) throw explainRefusal(await loadUpload(transaction, workspaceId, uploadId), limits);
      return transaction.repository(UploadPartRow).findOneByOrFail({ id });
    });
  }

  /** @throws NotFound; Conflict if it was completed or has expired. */
  cancel(workspaceId: string, id: string): Promise<UploadWithFile> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      await transaction.execute(
        `update uploads set status = 'cancelled', ended_at = now()
         where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > now()`,
        [id, workspaceId],
      );
      const found = await loadUploadWithFile(transaction, workspaceId, id);
      if (found.upload.status !== 'cancelled') throw notPending(found.upload);
      return found;
    });
  }

  /** Expires uploads. @returns parts of uploads that have ended and that no file uses; their objects should be deleted. */
  async listAbandonedParts(limit: number): Promise<{ id: string; key: string }[]> {
    return this.database.asSystem(async (transaction) => {
      await transaction.execute(
        `update uploads set status = 'expired', ended_at = now()
         where status = 'pending' and expires_at <= now()
           and (completing_at is null or completing_at < now() - make_interval(secs => $1::float8))`,
        [completionTimeoutS],
      );
      return transaction.rows<{ id: string; key: string }>(
        `select p.id, p.object_key as key from upload_parts p join uploads u on u.id = p.upload_id
         where u.status <> 'pending' order by p.id limit $1`,
        [limit],
      );
    });
  }

  /** Call it after their objects are deleted. */
  async deleteParts(ids: readonly string[]): Promise<void> {
    await this.database.rows('delete from upload_parts where id = any($1)', [ids]);
  }
}

/** The status as the owner sees it: an overdue upload has expired even before the clean-up marks it. */
function getStatus({ status, expiresAt, completingAt }: UploadRow): UploadStatus {
  return status === 'pending' && !completingAt && expiresAt <= new Date() ? 'expired' : status;
}

/** @throws NotFound */
export async function loadUpload(
  transaction: Transaction,
  workspaceId: string,
  id: string,
): Promise<UploadRow> {
  const upload = await transaction.repository(UploadRow).findOneBy({ id, workspaceId });
  if (!upload) throw new NotFound('No such upload.', { code: 'upload_not_found' });
  return Object.assign(upload, { status: getStatus(upload) });
}

/** @throws NotFound */
export async function loadUploadWithFile(
  transaction: Transaction,
  workspaceId: string,
  id: string,
): Promise<UploadWithFile> {
  const upload = await loadUpload(transaction, workspaceId, id);
  const file =
    upload.fileId === null
      ? null
      : await transaction.repository(FileRow).findOneBy({ id: upload.fileId, workspaceId });
  return { upload, file: file?.deletedAt ? null : file };
}

export function notPending(upload: UploadRow): Conflict {
  // An upload that is being completed after its expiry accepts no more parts either.
  const status = upload.status === 'pending' ? 'expired' : upload.status;
  return new Conflict(`This upload ${endings[status]}. Create another upload for another file.`, {
    code: `upload_${status}`,
  });
}

function explainRefusal(upload: UploadRow, limits: UploadLimits): Conflict | OverLimit {
  if (upload.status !== 'pending' || upload.expiresAt <= new Date()) return notPending(upload);
  if (upload.parts >= limits.parts) {
    return new OverLimit(
      `An upload can have at most ${limits.parts} parts. Cancel it and send larger parts.`,
      { code: 'too_many_parts' },
    );
  }
  return new OverLimit(
    `The parts of this upload would exceed ${limits.bytes} bytes; its file was declared with ${upload.bytes} bytes. ` +
      'Cancel it and create another upload.',
    { code: 'too_many_bytes' },
  );
}
