import { InvalidInput, NotFound } from '#domain';
import type { Transaction } from '../transaction.ts';

/**
 * Checks a new batch's input file and locks it `for share`, so that it cannot be deleted before the batch is visible.
 * @param isNew the batch's own transaction has created the file: it may still be unwritten.
 * @throws NotFound, InvalidInput
 */
export async function lockInputFile(
  transaction: Transaction,
  workspaceId: string,
  fileId: string,
  isNew: boolean,
): Promise<void> {
  const [file] = await transaction.rows<{ purpose: string; status: string }>(
    `select purpose, status from files
     where id = $1 and workspace_id = $2 and deleted_at is null and (expires_at is null or expires_at > now())
     for share`,
    [fileId, workspaceId],
  );
  const param = 'input_file_id';
  if (!file) {
    throw new NotFound('No such file. Upload it with purpose=batch first.', {
      code: 'file_not_found',
      param,
    });
  }
  if (file.purpose !== 'batch') {
    throw new InvalidInput(
      `The purpose of this file is ${file.purpose}; a batch needs a file with purpose=batch.`,
      { code: 'wrong_purpose', param },
    );
  }
  if (file.status !== 'processed' && !isNew) {
    throw new InvalidInput(
      `The status of this file is ${file.status}; a batch needs a file with status processed.`,
      { code: 'file_not_processed', param },
    );
  }
}
