/** A running batch's controls: pause, resume and priority; and the list of its chunks. */
import { MoreThan } from 'typeorm';
import type { ErrorCode, ChunkListQuery } from '@millrace/contracts';
import { Conflict } from '#domain';
import type { Database } from '../database.ts';
import { ChunkRow } from '../entities/index.ts';
import { loadBatch, type BatchWithErrors } from '../transactions/load-batch.ts';

/** The batch has lines left to run, and is not being cancelled. */
const isRunning = `status in ('validating', 'in_progress') and closing is null`;

export class BatchControlStore {
  constructor(private readonly database: Database) {}

  /**
   * Pauses a batch: no more of its chunks are dispatched; running chunks finish. Idempotent.
   * @throws NotFound; Conflict if it has nothing left to pause.
   */
  pause(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      await transaction.execute(
        `update batches set paused = true, pause_reason = null where id = $1 and workspace_id = $2 and ${isRunning} and not paused`,
        [id, workspaceId],
      );
      const found = await loadBatch(transaction, workspaceId, id);
      if (!found.batch.paused) throw notRunning(found, 'paused', 'batch_not_pausable');
      // Queued chunks become pending; their jobs are stale. A locked row is being claimed: waiting for it could wait for
      // a commit that waits for this batch.
      await transaction.execute(
        `update chunks c set status = 'pending'
         from (select batch_id, index from chunks where batch_id = $1 and status = 'queued'
               for update skip locked) waiting
         where c.batch_id = waiting.batch_id and c.index = waiting.index`,
        [id],
      );
      return found;
    });
  }

  /** @throws NotFound; Conflict if the batch has ended or is being cancelled. */
  resume(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const resumed = await transaction.execute(
        // Restart the rate measurement, so that the time of the pause does not count.
        `update batches
         set paused = false, pause_reason = null, rate_measured_at = case when paused then clock_timestamp() else rate_measured_at end
         where id = $1 and workspace_id = $2 and ${isRunning}`,
        [id, workspaceId],
      );
      const found = await loadBatch(transaction, workspaceId, id);
      if (resumed === 0) throw notRunning(found, 'resumed', 'batch_not_resumable');
      return found;
    });
  }

  /** The next dispatch ranks the batch's queued chunks again. @throws NotFound; Conflict if the batch has ended. */
  setPriority(workspaceId: string, id: string, priority: number): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const updated = await transaction.execute(
        `update batches set priority = $3 where id = $1 and workspace_id = $2 and ${isRunning}`,
        [id, workspaceId, priority],
      );
      const found = await loadBatch(transaction, workspaceId, id);
      if (updated === 0) throw notRunning(found, 'given another priority', 'batch_not_running');
      return found;
    });
  }

  /** @returns at most `limit` + 1 chunks, so that the caller knows if there are more; none before the plan is accepted. @throws NotFound */
  listChunks(workspaceId: string, id: string, { after = -1, limit }: ChunkListQuery): Promise<ChunkRow[]> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const { batch } = await loadBatch(transaction, workspaceId, id);
      if (batch.chunkCount === 0) return [];
      return transaction.repository(ChunkRow).find({
        where: { batchId: id, workspaceId, index: MoreThan(after) },
        order: { index: 'asc' },
        take: limit + 1,
      });
    });
  }
}

function notRunning({ batch }: BatchWithErrors, action: string, code: ErrorCode): Conflict {
  const state = batch.closing === 'expired' ? 'past its completion window' : batch.status;
  return new Conflict(`This batch is ${state}; only a running batch can be ${action}.`, { code });
}
