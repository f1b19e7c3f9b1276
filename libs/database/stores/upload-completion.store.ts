/** The completion of an upload: its parts become a file, in one transaction. */
import type { ErrorCode } from '@millrace/contracts';
import { InvalidInput, type NumberedPart } from '#domain';
import type { Database } from '../database.ts';
import { UploadPartRow, type UploadRow } from '../entities/index.ts';
import { partsToSegments } from '../statements/upload-parts.sql.ts';
import type { Transaction } from '../transaction.ts';
import { insertFile, insertFileRow, type NewFile } from '../transactions/insert-file.ts';
import { loadUpload, loadUploadWithFile, notPending, type UploadWithFile } from './upload.store.ts';

/** A file made of the parts' own objects, or of other objects that were made from them. */
export type AssembledFile =
  | NewFile
  | (Omit<NewFile, 'segments'> & { readonly bytes: number; readonly placed: readonly NumberedPart[] });

export class UploadCompletionStore {
  constructor(private readonly database: Database) {}

  /**
   * Keeps an upload from expiring while its parts are assembled.
   * @returns the upload, and its parts in the order of `partIds`; null if it was completed with the same parts before.
   * @throws NotFound; Conflict if the upload has ended; InvalidInput for parts that are not its own.
   */
  begin(
    workspaceId: string,
    id: string,
    partIds: readonly string[],
  ): Promise<{ upload: UploadRow; parts: UploadPartRow[] } | null> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const begun = await transaction.execute(
        `update uploads set completing_at = now()
         where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > now()`,
        [id, workspaceId],
      );
      const upload = await loadUpload(transaction, workspaceId, id);
      if (begun === 0) {
        if (isCompletedWith(upload, partIds)) return null;
        throw notPending(upload);
      }
      const stored = await transaction.repository(UploadPartRow).findBy({ uploadId: id });
      return { upload, parts: selectParts(partIds, stored) };
    });
  }

  /** The completion has failed: the upload accepts parts, and expires, as before. */
  async cancel(id: string): Promise<void> {
    await this.database.rows(`update uploads set completing_at = null where id = $1 and status = 'pending'`, [
      id,
    ]);
  }

  /**
   * Inserts the file and ends the upload, in one transaction.
   * @throws Conflict if another completion or a cancellation came first, unless the completion had the same parts.
   */
  complete(
    workspaceId: string,
    id: string,
    partIds: readonly string[],
    file: AssembledFile,
  ): Promise<UploadWithFile> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const ended = await transaction.execute(
        `update uploads set status = 'completed', part_ids = $3, ended_at = now()
         where id = $1 and workspace_id = $2 and status = 'pending'`,
        [id, workspaceId, partIds],
      );
      if (ended > 0) {
        if ('segments' in file) await insertFile(transaction, workspaceId, file);
        else await insertFileOfParts(transaction, workspaceId, id, partIds, file);
        await transaction.execute('update uploads set file_id = $2 where id = $1', [id, file.id]);
      }
      const found = await loadUploadWithFile(transaction, workspaceId, id);
      if (ended === 0 && !isCompletedWith(found.upload, partIds)) throw notPending(found.upload);
      return found;
    });
  }
}

const isCompletedWith = ({ status, partIds }: UploadRow, given: readonly string[]) =>
  status === 'completed' && partIds?.length === given.length && partIds.every((id, at) => id === given[at]);

/** @returns the parts with these ids, in their order. @throws InvalidInput */
function selectParts(ids: readonly string[], stored: readonly UploadPartRow[]): UploadPartRow[] {
  const known = new Map(stored.map((part) => [part.id, part]));
  const seen = new Set<string>();
  const invalid = (at: number, code: ErrorCode, problem: string) =>
    new InvalidInput(`part_ids[${at}] ${problem}`, { code, param: 'part_ids' });
  return ids.map((id, at) => {
    const part = known.get(id);
    if (!part) throw invalid(at, 'part_not_found', 'is not a part of this upload.');
    if (seen.has(id)) {
      throw invalid(at, 'duplicate_part', 'is listed twice. To repeat bytes, upload them as two parts.');
    }
    seen.add(id);
    return part;
  });
}

async function insertFileOfParts(
  transaction: Transaction,
  workspaceId: string,
  uploadId: string,
  partIds: readonly string[],
  { placed, ...file }: Extract<AssembledFile, { placed: unknown }>,
): Promise<void> {
  const lines = placed.reduce((total, part) => total + part.lines, 0);
  await insertFileRow(transaction, workspaceId, { ...file, lines, status: 'processed' });
  const parts = placed.map((part, position) => ({ ...part, id: partIds[position], position }));
  await transaction.execute(partsToSegments, [file.id, uploadId, JSON.stringify(parts)]);
}
