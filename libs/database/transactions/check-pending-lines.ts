import { OverLimit } from '#domain';
import type { Transaction } from '../transaction.ts';

/** Retry-After of the error. A backlog that reached the limit rarely shrinks sooner. */
const retryAfterMs = 60_000;

/**
 * Checks the workspace's limit of pending lines: lines that are accepted and have no record yet. Call it in the
 * transaction that creates a batch, after the batch's input file exists. It takes a lock per workspace, so that two
 * creations at once cannot both use the last free lines.
 * @throws OverLimit 429 `too_many_pending_lines`; 413 `too_many_lines` if the file alone exceeds the limit.
 */
export async function checkPendingLines(
  transaction: Transaction,
  workspaceId: string,
  inputFileId: string,
  maxPendingLines: number,
): Promise<void> {
  await transaction.rows(`select pg_advisory_xact_lock(hashtextextended('millrace.admission ' || $1, 0))`, [
    workspaceId,
  ]);
  const [found] = await transaction.rows<{ lines: number; pending: number }>(
    // Until its plan has counted them, a batch has as many lines as its file.
    `select f.lines,
       (select coalesce(sum(case b.status when 'validating' then i.lines
                            else b.total - b.completed - b.failed - b.canceled - b.expired end), 0)::bigint
        from batches b join files i on i.id = b.input_file_id
        where b.workspace_id = $1 and b.status in ('validating', 'in_progress', 'finalizing', 'cancelling')) as pending
     from files f where f.id = $2`,
    [workspaceId, inputFileId],
  );
  const { lines, pending } = found!;
  if (pending + lines <= maxPendingLines) return;
  const limit = maxPendingLines.toLocaleString('en');
  if (lines > maxPendingLines) {
    throw new OverLimit(
      `The input file has ${lines.toLocaleString('en')} lines; a workspace may have ${limit} pending lines. Split the file.`,
      { status: 413, code: 'too_many_lines', param: 'input_file_id' },
    );
  }
  throw new OverLimit(
    `This workspace has ${pending.toLocaleString('en')} pending lines and the input file has ` +
      `${lines.toLocaleString('en')}; the limit is ${limit}. Try again when some lines are done.`,
    { status: 429, code: 'too_many_pending_lines', retryAfterMs },
  );
}
