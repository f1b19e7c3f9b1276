import { createId, type EventType, type OutputFormat } from '@millrace/contracts';
import { listErrorSegments, listOutputSegments } from '../statements/list-batch-segments.sql.ts';
import type { Transaction } from '../transaction.ts';
import { appendEvent } from './append-event.ts';
import { markInputFailed } from './mark-input-failed.ts';

/** Number of segments from which a file is composed into one object. Fewer segments do not slow down reading. */
const minSegmentsToCompose = 32;

interface FinishingBatch {
  id: string;
  workspaceId: string;
  closing: 'cancelled' | 'expired' | null;
  completed: number;
  /** Lines that failed, were cancelled or expired. */
  notCompleted: number;
  expiresInS: number | null;
  outputFormat: OutputFormat;
}

/** Finishes a batch whose chunks are all done: creates its files, ends it and appends its events. @returns whether this call finished it. */
export async function finishBatch(transaction: Transaction, batchId: string): Promise<boolean> {
  const [batch] = await transaction.rows<FinishingBatch>(
    `select id, workspace_id as "workspaceId", status, closing, completed, failed + canceled + expired as "notCompleted",
         output_expires_after_s as "expiresInS", output_format as "outputFormat"
       from batches
       where id = $1 and status in ('finalizing', 'cancelling') and chunks_done >= chunk_count
       for update`,
    [batchId],
  );
  if (!batch) return false;
  // A plan that was cancelled before it was accepted leaves chunks that the batch does not count.
  await transaction.execute(`delete from chunks where batch_id = $1 and status <> 'done'`, [batchId]);
  const outputFileId = await createFile(transaction, batch, 'output', batch.completed, listOutputSegments);
  const errorFileId = await createFile(transaction, batch, 'error', batch.notCompleted, listErrorSegments);
  const end = batch.closing ?? 'completed';
  const hasErrors = end === 'completed' && batch.notCompleted > 0;
  const [updated] = await transaction.rows<{ sequence: number }>(
    `update batches
       set status = $2, ${end}_at = clock_timestamp(), finalizing_at = coalesce(finalizing_at, clock_timestamp()),
         output_file_id = $3, error_file_id = $4, sequence = sequence + $5
       where id = $1 returning sequence`,
    [batchId, end, outputFileId, errorFileId, hasErrors ? 2 : 1],
  );
  await markInputFailed(transaction, batchId);
  const { sequence } = updated!;
  const event = { workspaceId: batch.workspaceId, subject: batchId };
  if (hasErrors) {
    // An additional event before the terminal one, so that a subscriber to `batch.completed` alone hears of every batch.
    const request_counts = {
      total: batch.completed + batch.notCompleted,
      completed: batch.completed,
      failed: batch.notCompleted,
    };
    const data = { id: batchId, request_counts };
    const type = 'batch.completed_with_errors' as const;
    await appendEvent(transaction, { ...event, sequence: sequence - 1, type, terminal: false, data });
  }
  const type = `batch.${end}` satisfies EventType;
  await appendEvent(transaction, { ...event, sequence, type, terminal: true, data: { id: batchId } });
  return true;
}

/** @returns the id of the file with these segments; null if there are no lines. */
async function createFile(
  transaction: Transaction,
  batch: FinishingBatch,
  which: 'output' | 'error',
  lines: number,
  listSegments: string,
): Promise<string | null> {
  if (lines === 0) return null;
  const id = createId('file');
  await transaction.execute(
    `insert into files (id, workspace_id, purpose, filename, bytes, lines, expires_at)
     select $1, $2, 'batch_output', $3, sum(${which}_bytes), $4, now() + make_interval(secs => $5)
     from chunks where batch_id = $6`,
    [id, batch.workspaceId, `${batch.id}_${which}.${batch.outputFormat}`, lines, batch.expiresInS, batch.id],
  );
  await transaction.execute(listSegments, [id, batch.id]);
  await transaction.execute(
    `insert into compositions (file_id, batch_id)
     select $1, $2 where (select count(*) from file_segments where file_id = $1) >= $3`,
    [id, batch.id, minSegmentsToCompose],
  );
  return id;
}
