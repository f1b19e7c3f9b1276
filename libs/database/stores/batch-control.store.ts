/** A batch between its beginning and its end, beside cancelling it: pause and resume, its priority, and a look at its chunks. */
import { MoreThan } from 'typeorm';
import type { ChunkListQuery } from '@millrace/contracts';
import { Conflict } from '#domain';
import type { Database } from '../database.ts';
import { ChunkRow } from '../entities/index.ts';
import { loadBatch, type BatchWithErrors } from './batch.store.ts';

/** States in which a batch may be held back: it still has lines to run, and was not told to end. */
const running = `status in ('validating', 'in_progress') and closing is null`;

export class BatchControlStore {
  constructor(private readonly database: Database) {}

  /**
   * From here on no chunk of it is dispatched; chunks that run finish. Twice is once.
   * @throws NotFound; Conflict when nothing of it is left to hold back.
   */
  pause(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      await tx.query(
        `update batches set paused = true, pause_reason = null where id = $1 and workspace_id = $2 and ${running} and not paused`,
        [id, workspaceId],
      );
      const found = await loadBatch(tx, workspaceId, id);
      if (!found.batch.paused) throw notRunning(found, 'paused', 'batch_not_pausable');
      // What waits in the queue waits here instead; its job is stale then. A row that is locked is being claimed:
      // waiting for it could wait for a commit that waits for this batch.
      await tx.query(
        `update chunks c set status = 'pending'
         from (select batch_id, index from chunks where batch_id = $1 and status = 'queued'
               for update skip locked) waiting
         where c.batch_id = waiting.batch_id and c.index = waiting.index`,
        [id],
      );
      return found;
    });
  }

  /** @throws NotFound; Conflict when the batch is over or was told to end. */
  resume(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const [rows] = await tx.query<[unknown[], number]>(
        // The time of the pause is no part of the speed.
        `update batches
         set paused = false, pause_reason = null, rate_measured_at = case when paused then clock_timestamp() else rate_measured_at end
         where id = $1 and workspace_id = $2 and ${running}
         returning 1`,
        [id, workspaceId],
      );
      const found = await loadBatch(tx, workspaceId, id);
      if (!rows[0]) throw notRunning(found, 'resumed', 'batch_not_resumable');
      return found;
    });
  }

  /** What waits in the queue is ranked anew by the next dispatch. @throws NotFound; Conflict when the batch is over. */
  setPriority(workspaceId: string, id: string, priority: number): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const [rows] = await tx.query<[unknown[], number]>(
        `update batches set priority = $3 where id = $1 and workspace_id = $2 and ${running} returning 1`,
        [id, workspaceId, priority],
      );
      const found = await loadBatch(tx, workspaceId, id);
      if (!rows[0]) throw notRunning(found, 'given another priority', 'batch_not_running');
      return found;
    });
  }

  /** One row more than `limit` where there are more; none before the whole plan is accepted. @throws NotFound */
  listChunks(workspaceId: string, id: string, { after = -1, limit }: ChunkListQuery): Promise<ChunkRow[]> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const { batch } = await loadBatch(tx, workspaceId, id);
      if (batch.chunkCount === 0) return [];
      return tx.getRepository(ChunkRow).find({
        where: { batchId: id, workspaceId, index: MoreThan(after) },
        order: { index: 'asc' },
        take: limit + 1,
      });
    });
  }
}

function notRunning({ batch }: BatchWithErrors, what: string, code: string): Conflict {
  const state = batch.closing === 'expired' ? 'past its completion window' : batch.status;
  return new Conflict(`This batch is ${state}; only one that still runs can be ${what}.`, { code });
}
