import type { Transaction } from '../transaction.ts';

/** Marks a batch's input file as failed if it is not written yet: the batch has ended, so it never will be. */
export async function markInputFailed(transaction: Transaction, batchId: string): Promise<void> {
  await transaction.execute(
    `update files f set status = 'error', status_details = 'The batch ended before this file was written.'
     from batches b where b.id = $1 and f.id = b.input_file_id and f.status = 'uploaded'`,
    [batchId],
  );
}
