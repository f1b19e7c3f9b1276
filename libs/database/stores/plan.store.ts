/** A batch's plan: claimed by one worker, written in pages of chunks, and accepted or rejected as a whole. */
import type { BatchError } from '@millrace/contracts';
import type { Database } from '../database.ts';
import { setWorkspaceScope } from '../prepared-statement.ts';
import { measureSpeed } from '../statements/measure-speed.sql.ts';
import { listOverduePlans, requeuePlans } from '../statements/overdue-chunks.sql.ts';
import type { Transaction } from '../transaction.ts';
import { appendEvent } from '../transactions/append-event.ts';
import type { Segment } from '../transactions/insert-file.ts';
import { markInputFailed } from '../transactions/mark-input-failed.ts';

export interface Plan {
  readonly batchId: string;
  readonly workspaceId: string;
  readonly attempt: number;
  readonly kind: string;
  readonly endpoint: string;
  readonly inputFileId: string;
  /** The batch whose failed lines are its input. */
  readonly retryOf: string | null;
}

export interface PlannedChunk {
  readonly index: number;
  /** 1-based line of the file. */
  readonly firstLine: number;
  readonly lines: number;
  readonly byteStart: number;
  readonly byteLength: number;
}

export interface AcceptedPlan {
  readonly model: string;
  readonly provider: string;
  readonly pool: string;
  readonly total: number;
  readonly chunkCount: number;
}

export interface QueuedPlan {
  readonly batchId: string;
  readonly generation: number;
}

/** The attempt still holds the plan. `$1` batch, `$2` attempt. */
const isHeld = `id = $1 and plan_attempt = $2 and status = 'validating'`;

/** Minimum number of measured chunks: a speed from fewer is not reliable. */
const minMeasuredChunks = 5;

export class PlanStore {
  constructor(private readonly database: Database) {}

  /** @returns null if the generation is stale, or the batch needs no plan any more. */
  claim(batchId: string, generation: number): Promise<Plan | null> {
    return this.database.asSystem(async (transaction) => {
      const [plan] = await transaction.rows<Plan>(
        `update batches set plan_attempt = plan_attempt + 1, planned_at = clock_timestamp()
         where id = $1 and plan_generation = $2 and status = 'validating'
         returning id as "batchId", workspace_id as "workspaceId", plan_attempt as attempt, kind, endpoint,
           input_file_id as "inputFileId", retry_of as "retryOf"`,
        [batchId, generation],
      );
      // A second statement, so that it sees the chunks of the earlier attempt that the first one waited for.
      if (plan) await transaction.execute('delete from chunks where batch_id = $1', [batchId]);
      return plan ?? null;
    });
  }

  /**
   * The speed at which one slot has recently run chunks of this model. It is the median, so that a few slow lines do not
   * count for all. @returns lines per second; null if too few chunks were measured.
   */
  async getLinesPerSecond(model: string): Promise<number | null> {
    const [measured] = await this.database.rows<{ rate: number | null; chunks: number }>(measureSpeed, [
      model,
    ]);
    return measured && measured.chunks >= minMeasuredChunks ? measured.rate : null;
  }

  /** Adds the input file's segment, if the batch was created before its input was written. @returns false if another attempt holds the plan, or the batch was cancelled. */
  async writeInput(plan: Plan, segment: Segment & { readonly lineIndex: Buffer }): Promise<boolean> {
    const { key, bytes, lines, lineIndex } = segment;
    const inserted = await this.database.withWorkspace(plan.workspaceId, (transaction) =>
      transaction.execute(
        `with holder as (select input_file_id from batches where ${isHeld} for share),
         written as (
           update files f set status = 'processed', bytes = $4, lines = $5
           from holder where f.id = holder.input_file_id and f.status = 'uploaded' returning f.id)
         insert into file_segments (file_id, position, object_key, bytes, lines, line_index)
         select id, 0, $3, $4, $5, $6 from written`,
        [plan.batchId, plan.attempt, key, bytes, lines, lineIndex],
      ),
    );
    return inserted > 0;
  }

  /** @returns false if another attempt holds the plan, or the batch was cancelled. */
  async addChunks(plan: Plan, chunks: readonly PlannedChunk[]): Promise<boolean> {
    const rows = await this.database.rows(
      `with holder as (select id, workspace_id from batches where ${isHeld} and ${setWorkspaceScope('$3')} for share)
       insert into chunks (batch_id, workspace_id, index, first_line, lines, byte_start, byte_length)
       select h.id, h.workspace_id, c.index, c."firstLine", c.lines, c."byteStart", c."byteLength"
       from holder h, jsonb_to_recordset($4) as
         c (index int, "firstLine" bigint, lines int, "byteStart" bigint, "byteLength" bigint)
       returning 1`,
      [plan.batchId, plan.attempt, plan.workspaceId, JSON.stringify(chunks)],
    );
    return rows.length > 0;
  }

  /** Accepts the plan: from now on its chunks are dispatched. @returns false if another attempt holds the plan. */
  accept(plan: Plan, accepted: AcceptedPlan): Promise<boolean> {
    return this.end(plan, 'batch.in_progress', false, async (transaction) => {
      const [updated] = await transaction.rows<{ sequence: number }>(
        `update batches
         set status = 'in_progress', in_progress_at = clock_timestamp(), model = $3, provider = $4, pool = $5, total = $6,
           chunk_count = $7, sequence = sequence + 1
         where ${isHeld} returning sequence`,
        [
          plan.batchId,
          plan.attempt,
          accepted.model,
          accepted.provider,
          accepted.pool,
          accepted.total,
          accepted.chunkCount,
        ],
      );
      return updated?.sequence;
    });
  }

  /** Fails the batch: its input is invalid and no line runs. @returns false if another attempt holds the plan. */
  reject(plan: Plan, errors: readonly BatchError[]): Promise<boolean> {
    return this.end(plan, 'batch.failed', true, async (transaction) => {
      const [updated] = await transaction.rows<{ sequence: number }>(
        `update batches set status = 'failed', failed_at = clock_timestamp(), sequence = sequence + 1
         where ${isHeld} returning sequence`,
        [plan.batchId, plan.attempt],
      );
      if (!updated) return undefined;
      await markInputFailed(transaction, plan.batchId);
      await transaction.execute('delete from chunks where batch_id = $1', [plan.batchId]);
      await transaction.execute(
        `insert into batch_errors (batch_id, position, code, message, line, param)
         select $1, e.position, e.code, e.message, e.line, e.param
         from jsonb_to_recordset($2) as e (position int, code text, message text, line bigint, param text)`,
        [plan.batchId, JSON.stringify(errors.map((error, position) => ({ ...error, position })))],
      );
      return updated.sequence;
    });
  }

  private end(
    plan: Plan,
    type: 'batch.in_progress' | 'batch.failed',
    terminal: boolean,
    change: (transaction: Transaction) => Promise<number | undefined>,
  ): Promise<boolean> {
    return this.database.withWorkspace(plan.workspaceId, async (transaction) => {
      const sequence = await change(transaction);
      if (sequence === undefined) return false;
      const { workspaceId, batchId } = plan;
      const data = { id: batchId };
      await appendEvent(transaction, { workspaceId, subject: batchId, sequence, type, terminal, data });
      return true;
    });
  }

  /** @returns plans that should have started: their job may be missing. @param afterS seconds since they were queued. */
  listOverdue(afterS: number): Promise<QueuedPlan[]> {
    return this.database.rows<QueuedPlan>(listOverduePlans, [afterS]);
  }

  /** Gives each plan the next generation, unless it has changed meanwhile. @returns the plans to add to the queue. */
  requeue(plans: readonly QueuedPlan[]): Promise<QueuedPlan[]> {
    return this.database.rows<QueuedPlan>(requeuePlans, [
      plans.map(({ batchId }) => batchId),
      plans.map(({ generation }) => generation),
    ]);
  }
}
