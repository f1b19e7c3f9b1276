/** Files and their segments. Bytes are the object store's; what is known about them is here. */
import { IsNull, LessThan, MoreThan, Or } from 'typeorm';
import { type FilePurpose, type PageQuery } from '@millrace/contracts';
import { Conflict, NotFound, type LineIndex, type LineRun } from '#domain';
import type { Database, Transaction } from '../database.ts';
import { FileRow, FileSegmentRow } from '../entities/index.ts';
import { setWorkspaceScope } from '../prepared-statement.ts';

export interface Segment {
  readonly key: string;
  readonly bytes: number;
  readonly lines: number;
  /** Where it begins in its object, which then holds more than this. */
  readonly offset?: number;
}

export interface NewFile {
  readonly id: string;
  readonly purpose: FilePurpose;
  readonly filename: string;
  readonly segments: readonly (Segment & { lineIndex?: Buffer })[];
  readonly expiresInS: number | null;
  /** It is yet to be written, with as many lines: `uploaded` until then, and without segments. */
  readonly expectedLines?: number;
}

const noSuchFile = () => new NotFound('No such file.', { code: 'file_not_found' });

export class FileStore {
  constructor(private readonly database: Database) {}

  create(workspaceId: string, file: NewFile): Promise<FileRow> {
    return this.database.withWorkspace(workspaceId, (tx) => insertFile(tx, workspaceId, file));
  }

  /** @throws NotFound for what is unknown, deleted, expired or another workspace's. */
  async get(workspaceId: string, id: string): Promise<FileRow> {
    const file = await this.database.withWorkspace(workspaceId, (tx) =>
      tx.getRepository(FileRow).findOneBy({ id, workspaceId, deletedAt: IsNull() }),
    );
    if (!file || (file.expiresAt && file.expiresAt <= new Date())) throw noSuchFile();
    return file;
  }

  /** One row more than `limit` where there are more. */
  list(workspaceId: string, page: PageQuery & { purpose?: FilePurpose }): Promise<FileRow[]> {
    return this.database.withWorkspace(workspaceId, (tx) =>
      tx.getRepository(FileRow).find({
        where: {
          workspaceId,
          deletedAt: IsNull(),
          expiresAt: Or(IsNull(), MoreThan(new Date())),
          ...(page.purpose && { purpose: page.purpose }),
          ...(page.after && { id: page.order === 'asc' ? MoreThan(page.after) : LessThan(page.after) }),
        },
        order: { id: page.order },
        take: page.limit + 1,
      }),
    );
  }

  /** In the order of the file's bytes. */
  listSegments(workspaceId: string, fileId: string): Promise<Segment[]> {
    return this.database.rows<Segment>(
      `select s.object_key as key, s.bytes, s.lines
       from file_segments s join files f on f.id = s.file_id
       where s.file_id = $1 and f.workspace_id = $2 and ${setWorkspaceScope('$2')}
       order by s.position`,
      [fileId, workspaceId],
    );
  }

  /** Where the lines of an uploaded file begin. */
  getLineIndex(workspaceId: string, fileId: string): Promise<LineIndex> {
    return this.database.rows<LineRun>(
      `select line, "offset", entries
       from (
         select s.position, s.first_line as line, s.line_index as entries,
           (sum(s.bytes) over (order by s.position) - s.bytes + s.first_start)::bigint as "offset"
         from file_segments s join files f on f.id = s.file_id
         where s.file_id = $1 and f.workspace_id = $2 and ${setWorkspaceScope('$2')}
       ) placed
       where entries is not null
       order by position`,
      [fileId, workspaceId],
    );
  }

  /**
   * Hides a file; its objects go next, by `forgetSegments`.
   * @throws Conflict while a batch still reads it.
   */
  delete(workspaceId: string, id: string): Promise<void> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      // Locked first: a batch that is being created on this file holds it `for share` until it is visible here.
      const rows = await tx.query<unknown[]>(
        'select 1 from files where id = $1 and workspace_id = $2 and deleted_at is null for update',
        [id, workspaceId],
      );
      if (rows.length === 0) throw noSuchFile();
      const readers = await tx.query<{ id: string }[]>(
        `select id from batches
         where input_file_id = $1 and status in ('validating', 'in_progress', 'finalizing', 'cancelling') limit 1`,
        [id],
      );
      if (readers[0]) {
        throw new Conflict(
          `The batch ${readers[0].id} still reads this file. Cancel it, or wait for its end.`,
          {
            code: 'file_in_use',
          },
        );
      }
      await tx.query('update files set deleted_at = now() where id = $1', [id]);
    });
  }

  /** Objects of deleted and expired files, oldest first: what the store may forget. */
  async listAbandonedSegments(limit: number): Promise<{ fileId: string; key: string }[]> {
    return this.database.asSystem(async (tx) => {
      await tx.query(
        `update files f set deleted_at = now()
         where f.deleted_at is null and f.expires_at < now() and not exists (
           select 1 from batches b where b.input_file_id = f.id
             and b.status in ('validating', 'in_progress', 'finalizing', 'cancelling'))`,
      );
      return tx.query(
        `select s.file_id as "fileId", s.object_key as key
         from file_segments s join files f on f.id = s.file_id
         where f.deleted_at is not null
         order by s.file_id, s.position limit $1`,
        [limit],
      );
    });
  }

  /** To be called once their objects are gone. */
  async deleteSegments(keys: string[]): Promise<void> {
    await this.database.rows('delete from file_segments where object_key = any($1)', [keys]);
  }
}

/** Writes a file with its segments in the caller's transaction. */
export async function insertFile(tx: Transaction, workspaceId: string, file: NewFile): Promise<FileRow> {
  const sum = (part: 'bytes' | 'lines') => file.segments.reduce((total, segment) => total + segment[part], 0);
  await insertFileRow(tx, workspaceId, {
    ...file,
    bytes: sum('bytes'),
    lines: file.expectedLines ?? sum('lines'),
    status: file.expectedLines === undefined ? 'processed' : 'uploaded',
  });
  for (const [position, { key, bytes, lines, lineIndex }] of file.segments.entries()) {
    await tx
      .getRepository(FileSegmentRow)
      .insert({ fileId: file.id, position, objectKey: key, bytes, lines, lineIndex: lineIndex ?? null });
  }
  return tx.getRepository(FileRow).findOneByOrFail({ id: file.id });
}

type FileFields = Omit<NewFile, 'segments'> & Pick<FileRow, 'bytes' | 'lines' | 'status'>;

/** A file alone: its segments are the caller's to write. */
export async function insertFileRow(tx: Transaction, workspaceId: string, file: FileFields): Promise<void> {
  await tx.getRepository(FileRow).insert({
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
