/** Whether a workspace may add to what waits for it: a bound on its lines that are accepted and not yet recorded. */
import { OverLimit } from '#domain';
import type { Transaction } from '../database.ts';

/** Asked for in seconds; the backlog of a bound that was reached is rarely gone sooner. */
const retryAfterMs = 60_000;

/**
 * To be called in the transaction that creates a batch, after its file is known. Creations of one workspace wait
 * for each other here, so that two at once can't both take the last room.
 * @throws OverLimit 429 `too_many_pending_lines`, or 413 where the file alone is over the bound.
 */
export async function checkPendingLines(
  tx: Transaction,
  workspaceId: string,
  inputFileId: string,
  maxPendingLines: number,
): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('millrace.admission ' || $1, 0))`, [
    workspaceId,
  ]);
  const [found] = await tx.query<{ lines: number; pending: number }[]>(
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
  const bound = maxPendingLines.toLocaleString('en');
  if (lines > maxPendingLines) {
    throw new OverLimit(
      `The input file has ${lines.toLocaleString('en')} lines; a workspace may have ${bound} waiting. Split it.`,
      { status: 413, code: 'too_many_lines', param: 'input_file_id' },
    );
  }
  throw new OverLimit(
    `${pending.toLocaleString('en')} lines of this workspace wait to be run and this file has ` +
      `${lines.toLocaleString('en')}; together they may be ${bound}. Try again when some are done.`,
    { status: 429, code: 'too_many_pending_lines', retryAfterMs },
  );
}
