/** Uploads in parts: taken in while they are pending, made a file or given up at their end, each in one transaction. */
import type { FilePurpose, UploadStatus } from '@millrace/contracts';
import { Conflict, InvalidInput, NotFound, OverLimit, type PartLines, type NumberedPart } from '#domain';
import type { Database, Transaction } from '../database.ts';
import { FileRow, UploadPartRow, UploadRow } from '../entities/index.ts';
import { addUploadPart, partsToSegments } from '../statements/upload-parts.sql.ts';
import { insertFile, insertFileRow, type NewFile } from './file.store.ts';

export interface NewUpload {
  readonly id: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly purpose: FilePurpose;
  /** Of the whole file. */
  readonly bytes: number;
  /** Seconds that its file lives. */
  readonly expiresAfterS: number | null;
  /** Seconds for which parts are taken. */
  readonly expiresInS: number;
}

export interface NewPart {
  readonly id: string;
  readonly key: string;
  readonly lineCounts: PartLines;
}

/** What an upload may have stored for it: more than its file, for a part whose answer was lost is sent again. */
export interface UploadLimits {
  readonly parts: number;
  readonly bytes: number;
}

/** An upload with its file, where there is one that was not deleted. */
export interface UploadWithFile {
  readonly upload: UploadRow;
  readonly file: FileRow | null;
}

/** A file made of the parts as they are, or of other objects that were made from them. */
export type AssembledFile =
  | NewFile
  | (Omit<NewFile, 'segments'> & { readonly bytes: number; readonly placed: readonly NumberedPart[] });

const endings: Record<Exclude<UploadStatus, 'pending'>, string> = {
  completed: 'was completed',
  cancelled: 'was cancelled',
  expired: 'has expired',
};

/** Seconds for which the completion of a process that may be dead keeps an upload from expiring. */
const completionS = 3_600;

export class UploadStore {
  constructor(private readonly database: Database) {}

  create(workspaceId: string, { expiresInS, ...upload }: NewUpload): Promise<UploadRow> {
    const expiresAt = new Date(Date.now() + expiresInS * 1_000);
    return this.database.withWorkspace(workspaceId, async (tx) => {
      await tx.getRepository(UploadRow).insert({ ...upload, workspaceId, expiresAt });
      return uploadOf(tx, workspaceId, upload.id);
    });
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<UploadWithFile> {
    return this.database.withWorkspace(workspaceId, (tx) => withFile(tx, workspaceId, id));
  }

  /** @throws NotFound; Conflict where it takes no more parts. */
  getPending(workspaceId: string, id: string): Promise<UploadRow> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const upload = await uploadOf(tx, workspaceId, id);
      if (statusOf(upload) !== 'pending') throw notPending(upload);
      return upload;
    });
  }

  /**
   * Notes a part that is stored; its object is garbage where this throws anything but Unavailable.
   * @throws NotFound; Conflict where the upload takes no more parts, OverLimit where it has too many.
   */
  addPart(
    workspaceId: string,
    uploadId: string,
    part: NewPart,
    limits: UploadLimits,
  ): Promise<UploadPartRow> {
    const { id, key, lineCounts } = part;
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const added = await tx.query<unknown[]>(addUploadPart, [
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
      if (added.length === 0) throw refusal(await uploadOf(tx, workspaceId, uploadId), limits);
      return tx.getRepository(UploadPartRow).findOneByOrFail({ id });
    });
  }

  /**
   * Holds an upload's parts from expiring while they are put together.
   * @returns the parts in the order asked for; null where it was completed with these very ones.
   * @throws NotFound; Conflict where the upload is over; InvalidInput for parts that are not its own.
   */
  beginCompletion(
    workspaceId: string,
    id: string,
    partIds: readonly string[],
  ): Promise<{ upload: UploadRow; parts: UploadPartRow[] } | null> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const begun = await tx.query<unknown[]>(
        `with begun as (
           update uploads set completing_at = now()
           where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > now() returning 1)
         select 1 from begun`,
        [id, workspaceId],
      );
      const upload = await uploadOf(tx, workspaceId, id);
      if (begun.length === 0) {
        if (isSame(upload, partIds)) return null;
        throw notPending(upload);
      }
      const stored = await tx.getRepository(UploadPartRow).findBy({ uploadId: id });
      return { upload, parts: inOrder(partIds, stored) };
    });
  }

  /** What was begun has failed: the upload takes parts, and expires, as before. */
  async cancelCompletion(id: string): Promise<void> {
    await this.database.rows(`update uploads set completing_at = null where id = $1 and status = 'pending'`, [
      id,
    ]);
  }

  /**
   * The file and the end of its upload, in one transaction.
   * @throws Conflict where another completion or a cancel came first, unless it was with the same parts.
   */
  complete(
    workspaceId: string,
    id: string,
    partIds: readonly string[],
    file: AssembledFile,
  ): Promise<UploadWithFile> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const ended = await tx.query<unknown[]>(
        `with ended as (
           update uploads set status = 'completed', part_ids = $3, ended_at = now()
           where id = $1 and workspace_id = $2 and status = 'pending' returning 1)
         select 1 from ended`,
        [id, workspaceId, partIds],
      );
      if (ended.length > 0) {
        if ('segments' in file) await insertFile(tx, workspaceId, file);
        else await insertFileOfParts(tx, workspaceId, id, partIds, file);
        await tx.query('update uploads set file_id = $2 where id = $1', [id, file.id]);
      }
      const found = await withFile(tx, workspaceId, id);
      if (ended.length === 0 && !isSame(found.upload, partIds)) throw notPending(found.upload);
      return found;
    });
  }

  /** @throws NotFound; Conflict where it was completed or has expired. */
  cancel(workspaceId: string, id: string): Promise<UploadWithFile> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      await tx.query(
        `update uploads set status = 'cancelled', ended_at = now()
         where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > now()`,
        [id, workspaceId],
      );
      const found = await withFile(tx, workspaceId, id);
      if (found.upload.status !== 'cancelled') throw notPending(found.upload);
      return found;
    });
  }

  /** Objects of uploads that are over and that no file took over, those of uploads that have just expired included. */
  async listAbandonedParts(limit: number): Promise<{ id: string; key: string }[]> {
    return this.database.asSystem(async (tx) => {
      await tx.query(
        `update uploads set status = 'expired', ended_at = now()
         where status = 'pending' and expires_at <= now()
           and (completing_at is null or completing_at < now() - make_interval(secs => $1::float8))`,
        [completionS],
      );
      return tx.query(
        `select p.id, p.object_key as key from upload_parts p join uploads u on u.id = p.upload_id
         where u.status <> 'pending' order by p.id limit $1`,
        [limit],
      );
    });
  }

  /** To be called once their objects are gone. */
  async deleteParts(ids: readonly string[]): Promise<void> {
    await this.database.rows('delete from upload_parts where id = any($1)', [ids]);
  }
}

/** As its owner sees it: one whose time is up has expired, whether the sweep came by or not. */
function statusOf({ status, expiresAt, completingAt }: UploadRow): UploadStatus {
  return status === 'pending' && !completingAt && expiresAt <= new Date() ? 'expired' : status;
}

async function uploadOf(tx: Transaction, workspaceId: string, id: string): Promise<UploadRow> {
  const upload = await tx.getRepository(UploadRow).findOneBy({ id, workspaceId });
  if (!upload) throw new NotFound('No such upload.', { code: 'upload_not_found' });
  return Object.assign(upload, { status: statusOf(upload) });
}

async function withFile(tx: Transaction, workspaceId: string, id: string): Promise<UploadWithFile> {
  const upload = await uploadOf(tx, workspaceId, id);
  const file =
    upload.fileId === null
      ? null
      : await tx.getRepository(FileRow).findOneBy({ id: upload.fileId, workspaceId });
  return { upload, file: file?.deletedAt ? null : file };
}

const isSame = ({ status, partIds }: UploadRow, wanted: readonly string[]) =>
  status === 'completed' && partIds?.length === wanted.length && partIds.every((id, at) => id === wanted[at]);

function notPending(upload: UploadRow): Conflict {
  // One that is completing past its hour takes no more parts either.
  const status = upload.status === 'pending' ? 'expired' : upload.status;
  return new Conflict(`This upload ${endings[status]}. Create another one for another file.`, {
    code: `upload_${status}`,
  });
}

function refusal(upload: UploadRow, limits: UploadLimits) {
  if (upload.status !== 'pending' || upload.expiresAt <= new Date()) return notPending(upload);
  if (upload.parts >= limits.parts) {
    return new OverLimit(`An upload has ${limits.parts} parts at most. Cancel it and send larger ones.`, {
      code: 'too_many_parts',
    });
  }
  return new OverLimit(
    `The parts of this upload would have more than ${limits.bytes} bytes, where its file was announced ` +
      `with ${upload.bytes}. Cancel it and begin again.`,
    { code: 'too_many_bytes' },
  );
}

function inOrder(ids: readonly string[], stored: readonly UploadPartRow[]): UploadPartRow[] {
  const known = new Map(stored.map((part) => [part.id, part]));
  const seen = new Set<string>();
  const wrong = (at: number, code: string, what: string) =>
    new InvalidInput(`part_ids[${at}] ${what}`, { code, param: 'part_ids' });
  return ids.map((id, at) => {
    const part = known.get(id);
    if (!part) throw wrong(at, 'part_not_found', 'is no part of this upload.');
    if (seen.has(id)) {
      throw wrong(at, 'duplicate_part', 'is named twice. Bytes that come twice are two parts.');
    }
    seen.add(id);
    return part;
  });
}

async function insertFileOfParts(
  tx: Transaction,
  workspaceId: string,
  uploadId: string,
  partIds: readonly string[],
  { placed, ...file }: Extract<AssembledFile, { placed: unknown }>,
): Promise<void> {
  const lines = placed.reduce((total, part) => total + part.lines, 0);
  await insertFileRow(tx, workspaceId, { ...file, lines, status: 'processed' });
  const places = placed.map((part, position) => ({ ...part, id: partIds[position], position }));
  await tx.query(partsToSegments, [file.id, uploadId, JSON.stringify(places)]);
}
