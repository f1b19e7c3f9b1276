/** Files and their segments. The bytes are in object storage. */
import { IsNull, LessThan, MoreThan, Or } from 'typeorm';
import type { FilePurpose, PageQuery } from '@millrace/contracts';
import { Conflict, NotFound, type LineIndex, type LineIndexPart } from '#domain';
import type { Database } from '../database.ts';
import { FileRow } from '../entities/index.ts';
import { setWorkspaceScope } from '../prepared-statement.ts';
import { insertFile, type NewFile, type Segment } from '../transactions/insert-file.ts';

const fileNotFound = () => new NotFound('No such file.', { code: 'file_not_found' });

export class FileStore {
  constructor(private readonly database: Database) {}

  create(workspaceId: string, file: NewFile): Promise<FileRow> {
    return this.database.withWorkspace(workspaceId, (transaction) =>
      insertFile(transaction, workspaceId, file),
    );
  }

  /** @throws NotFound if the file is unknown, deleted, expired, or in another workspace. */
  async get(workspaceId: string, id: string): Promise<FileRow> {
    const file = await this.database.withWorkspace(workspaceId, (transaction) =>
      transaction.repository(FileRow).findOneBy({ id, workspaceId, deletedAt: IsNull() }),
    );
    if (!file || (file.expiresAt && file.expiresAt <= new Date())) throw fileNotFound();
    return file;
  }

  /** @returns at most `limit` + 1 files, so that the caller knows if there are more. */
  list(workspaceId: string, page: PageQuery & { purpose?: FilePurpose }): Promise<FileRow[]> {
    return this.database.withWorkspace(workspaceId, (transaction) =>
      transaction.repository(FileRow).find({
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

  /** @returns where the lines of an uploaded file begin. */
  getLineIndex(workspaceId: string, fileId: string): Promise<LineIndex> {
    return this.database.rows<LineIndexPart>(
      `select line, "offset", entries
       from (
         select s.position, s.first_line as line, s.line_index as entries,
           (sum(s.bytes) over (order by s.position) - s.bytes + s.first_start)::bigint as "offset"
         from file_segments s join files f on f.id = s.file_id
         where s.file_id = $1 and f.workspace_id = $2 and ${setWorkspaceScope('$2')}
       ) segments
       where entries is not null
       order by position`,
      [fileId, workspaceId],
    );
  }

  /**
   * Marks a file as deleted. Its objects are deleted later (`listAbandonedSegments`, `deleteSegments`).
   * @throws Conflict while a batch reads it.
   */
  delete(workspaceId: string, id: string): Promise<void> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      // Lock first: a batch that is being created on this file holds it `for share` until the batch is visible here.
      const rows = await transaction.rows(
        'select 1 from files where id = $1 and workspace_id = $2 and deleted_at is null for update',
        [id, workspaceId],
      );
      if (rows.length === 0) throw fileNotFound();
      const [reader] = await transaction.rows<{ id: string }>(
        `select id from batches
         where input_file_id = $1 and status in ('validating', 'in_progress', 'finalizing', 'cancelling') limit 1`,
        [id],
      );
      if (reader) {
        throw new Conflict(
          `The batch ${reader.id} still reads this file. Cancel it, or wait until it has ended.`,
          {
            code: 'file_in_use',
          },
        );
      }
      await transaction.execute('update files set deleted_at = now() where id = $1', [id]);
    });
  }

  /** Marks expired files as deleted. @returns segments of deleted files, whose objects should be deleted. */
  async listAbandonedSegments(limit: number): Promise<{ fileId: string; key: string }[]> {
    return this.database.asSystem(async (transaction) => {
      await transaction.execute(
        `update files f set deleted_at = now()
         where f.deleted_at is null and f.expires_at < now() and not exists (
           select 1 from batches b where b.input_file_id = f.id
             and b.status in ('validating', 'in_progress', 'finalizing', 'cancelling'))`,
      );
      return transaction.rows<{ fileId: string; key: string }>(
        `select s.file_id as "fileId", s.object_key as key
         from file_segments s join files f on f.id = s.file_id
         where f.deleted_at is not null
         order by s.file_id, s.position limit $1`,
        [limit],
      );
    });
  }

  /** Call it after their objects are deleted. */
  async deleteSegments(keys: string[]): Promise<void> {
    await this.database.rows('delete from file_segments where object_key = any($1)', [keys]);
  }
}
