/** The end of a batch whose chunks are all done: its files, its state and its facts, for one transaction. */
import { newId, type FactType, type OutputFormat } from '@millrace/contracts';
import type { Transaction } from '../database.ts';
import { listErrorSegments, listOutputSegments } from '../statements/list-batch-segments.sql.ts';
import { appendEvent } from '../stores/feed.store.ts';
import { markInputFailed } from '../stores/plan.store.ts';

/** Segments from which on a file is to become one object: of fewer nobody notices. */
const worthComposing = 32;

/** @returns whether this call ended it. */
export async function finishBatch(tx: Transaction, batchId: string): Promise<boolean> {
  const [batch] = await tx.query<EndingBatch[]>(
    `select id, workspace_id as "workspaceId", status, closing, completed, failed + canceled + expired as other,
         output_expires_after_s as "expiresInS", output_format as "outputFormat"
       from batches
       where id = $1 and status in ('finalizing', 'cancelling') and chunks_done >= chunk_count
       for update`,
    [batchId],
  );
  if (!batch) return false;
  // A plan that was cancelled half-way leaves chunks that never were the batch's.
  await tx.query(`delete from chunks where batch_id = $1 and status <> 'done'`, [batchId]);
  const outputFileId = await fileOf(tx, batch, 'output', batch.completed, listOutputSegments);
  const errorFileId = await fileOf(tx, batch, 'error', batch.other, listErrorSegments);
  const end = batch.closing ?? 'completed';
  const hasErrors = end === 'completed' && batch.other > 0;
  const [rows] = await tx.query<[{ sequence: number }[], number]>(
    `update batches
       set status = $2, ${end}_at = clock_timestamp(), finalizing_at = coalesce(finalizing_at, clock_timestamp()),
         output_file_id = $3, error_file_id = $4, sequence = sequence + $5
       where id = $1 returning sequence`,
    [batchId, end, outputFileId, errorFileId, hasErrors ? 2 : 1],
  );
  await markInputFailed(tx, batchId);
  const { sequence } = rows[0]!;
  const fact = { workspaceId: batch.workspaceId, subject: batchId };
  if (hasErrors) {
    // Beside the end and before it: whoever waits for `batch.completed` alone is told of every batch.
    const request_counts = {
      total: batch.completed + batch.other,
      completed: batch.completed,
      failed: batch.other,
    };
    const data = { id: batchId, request_counts };
    const type = 'batch.completed_with_errors' as const;
    await appendEvent(tx, { ...fact, sequence: sequence - 1, type, terminal: false, data });
  }
  const type = `batch.${end}` satisfies FactType;
  await appendEvent(tx, { ...fact, sequence, type, terminal: true, data: { id: batchId } });
  return true;
}

interface EndingBatch {
  id: string;
  workspaceId: string;
  closing: 'cancelled' | 'expired' | null;
  completed: number;
  other: number;
  expiresInS: number | null;
  outputFormat: OutputFormat;
}

/** @returns the id of the file that lists these segments; null where there is no line to list. */
async function fileOf(
  tx: Transaction,
  batch: EndingBatch,
  which: 'output' | 'error',
  lines: number,
  list: string,
) {
  if (lines === 0) return null;
  const id = newId('file');
  await tx.query(
    `insert into files (id, workspace_id, purpose, filename, bytes, lines, expires_at)
     select $1, $2, 'batch_output', $3, sum(${which}_bytes), $4, now() + make_interval(secs => $5)
     from chunks where batch_id = $6`,
    [id, batch.workspaceId, `${batch.id}_${which}.${batch.outputFormat}`, lines, batch.expiresInS, batch.id],
  );
  await tx.query(list, [id, batch.id]);
  await tx.query(
    `insert into compositions (file_id, batch_id)
     select $1, $2 where (select count(*) from file_segments where file_id = $1) >= $3`,
    [id, batch.id, worthComposing],
  );
  return id;
}
