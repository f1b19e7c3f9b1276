/** A batch's plan: claimed by one worker, written in pages, and shown all at once. */
import type { BatchError } from '@millrace/contracts';
import type { Database, Transaction } from '../database.ts';
import { setWorkspaceScope } from '../prepared-statement.ts';
import { appendEvent } from './feed.store.ts';
import type { Segment } from './file.store.ts';
import { measureSpeed } from '../statements/measure-speed.sql.ts';
import { listOverduePlans, requeuePlans } from '../statements/overdue-chunks.sql.ts';

export interface Plan {
  readonly batchId: string;
  readonly workspaceId: string;
  readonly attempt: number;
  readonly kind: string;
  readonly endpoint: string;
  readonly inputFileId: string;
  /** The batch whose failed lines its input is made of. */
  readonly retryOf: string | null;
}

export interface PlannedChunk {
  readonly index: number;
  /** Line of the file, from 1. */
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

const held = `id = $1 and plan_attempt = $2 and status = 'validating'`;

/** Chunks that must have been measured before their speed is believed. */
const leastMeasured = 5;

export class PlanStore {
  constructor(private readonly database: Database) {}

  /** @returns null where the delivery is stale or the batch needs no plan any more. */
  claim(batchId: string, delivery: number): Promise<Plan | null> {
    return this.database.asSystem(async (tx) => {
      const [rows] = await tx.query<[Plan[], number]>(
        `update batches set plan_attempt = plan_attempt + 1, planned_at = clock_timestamp()
         where id = $1 and plan_delivery = $2 and status = 'validating'
         returning id as "batchId", workspace_id as "workspaceId", plan_attempt as attempt, kind, endpoint,
           input_file_id as "inputFileId", retry_of as "retryOf"`,
        [batchId, delivery],
      );
      // A statement of its own: it sees what the one before it has waited for, chunks of the attempt that is taken over.
      if (rows[0]) await tx.query('delete from chunks where batch_id = $1', [batchId]);
      return rows[0] ?? null;
    });
  }

  /**
   * How fast one slot has lately run chunks of this model: the median, so that a few lines that were slow on
   * purpose do not count for all. @returns lines a second; null where too little is known.
   */
  async getLinesPerSecond(model: string): Promise<number | null> {
    const [measured] = await this.database.rows<{ rate: number | null; chunks: number }>(measureSpeed, [
      model,
    ]);
    return measured && measured.chunks >= leastMeasured ? measured.rate : null;
  }

  /** Writes the input that was yet to come. @returns false where another attempt, or a cancel, has taken the plan over. */
  async writeInput(plan: Plan, segment: Segment & { readonly lineIndex: Buffer }): Promise<boolean> {
    const { key, bytes, lines, lineIndex } = segment;
    const rows = await this.database.withWorkspace(plan.workspaceId, (tx) =>
      tx.query<unknown[]>(
        `with holder as (select input_file_id from batches where ${held} for share),
         filled as (
           update files f set status = 'processed', bytes = $4, lines = $5
           from holder where f.id = holder.input_file_id and f.status = 'uploaded' returning f.id)
         insert into file_segments (file_id, position, object_key, bytes, lines, line_index)
         select id, 0, $3, $4, $5, $6 from filled
         returning 1`,
        [plan.batchId, plan.attempt, key, bytes, lines, lineIndex],
      ),
    );
    return rows.length > 0;
  }

  /** @returns false where another attempt, or a cancel, has taken the plan over. */
  async addChunks(plan: Plan, chunks: readonly PlannedChunk[]): Promise<boolean> {
    const rows = await this.database.rows(
      `with holder as (select id, workspace_id from batches where ${held} and ${setWorkspaceScope('$3')} for share)
       insert into chunks (batch_id, workspace_id, index, first_line, lines, byte_start, byte_length)
       select h.id, h.workspace_id, c.index, c."firstLine", c.lines, c."byteStart", c."byteLength"
       from holder h, jsonb_to_recordset($4) as
         c (index int, "firstLine" bigint, lines int, "byteStart" bigint, "byteLength" bigint)
       returning 1`,
      [plan.batchId, plan.attempt, plan.workspaceId, JSON.stringify(chunks)],
    );
    return rows.length > 0;
  }

  /** Shows the plan: from here on its chunks are dispatched. @returns false where the plan was taken over. */
  accept(plan: Plan, accepted: AcceptedPlan): Promise<boolean> {
    return this.end(plan, 'batch.in_progress', false, async (tx) => {
      const [rows] = await tx.query<[{ sequence: number }[], number]>(
        `update batches
         set status = 'in_progress', in_progress_at = clock_timestamp(), model = $3, provider = $4, pool = $5, total = $6,
           chunk_count = $7, sequence = sequence + 1
         where ${held} returning sequence`,
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
      return rows[0]?.sequence;
    });
  }

  /** The batch failed validation: no line of it runs. @returns false where the plan was taken over. */
  reject(plan: Plan, errors: readonly BatchError[]): Promise<boolean> {
    return this.end(plan, 'batch.failed', true, async (tx) => {
      const [rows] = await tx.query<[{ sequence: number }[], number]>(
        `update batches set status = 'failed', failed_at = clock_timestamp(), sequence = sequence + 1
         where ${held} returning sequence`,
        [plan.batchId, plan.attempt],
      );
      if (!rows[0]) return undefined;
      await markInputFailed(tx, plan.batchId);
      await tx.query('delete from chunks where batch_id = $1', [plan.batchId]);
      await tx.query(
        `insert into batch_errors (batch_id, position, code, message, line, param)
         select $1, e.position, e.code, e.message, e.line, e.param
         from jsonb_to_recordset($2) as e (position int, code text, message text, line bigint, param text)`,
        [plan.batchId, JSON.stringify(errors.map((error, position) => ({ ...error, position })))],
      );
      return rows[0].sequence;
    });
  }

  private end(
    plan: Plan,
    type: 'batch.in_progress' | 'batch.failed',
    terminal: boolean,
    change: (tx: Transaction) => Promise<number | undefined>,
  ): Promise<boolean> {
    return this.database.withWorkspace(plan.workspaceId, async (tx) => {
      const sequence = await change(tx);
      if (sequence === undefined) return false;
      const { workspaceId, batchId } = plan;
      await appendEvent(tx, {
        workspaceId,
        subject: batchId,
        sequence,
        type,
        terminal,
        data: { id: batchId },
      });
      return true;
    });
  }

  /** Plans that should long have begun. @param afterS seconds since their delivery. */
  listOverdue(afterS: number): Promise<QueuedPlan[]> {
    return this.database.rows<QueuedPlan>(listOverduePlans, [afterS]);
  }

  /** Gives each the next delivery number, unless it moved on meanwhile. @returns what to put in the queue. */
  async requeue(plans: readonly QueuedPlan[]): Promise<QueuedPlan[]> {
    return this.database.asSystem(async (tx) => {
      const [rows] = await tx.query<[QueuedPlan[], number]>(requeuePlans, [
        plans.map(({ batchId }) => batchId),
        plans.map(({ generation }) => generation),
      ]);
      return rows;
    });
  }
}

/** Input that was yet to be written when its batch ended never will be. */
export async function markInputFailed(tx: Transaction, batchId: string): Promise<void> {
  await tx.query(
    `update files f set status = 'error', status_details = 'Its batch ended before it was written.'
     from batches b where b.id = $1 and f.id = b.input_file_id and f.status = 'uploaded'`,
    [batchId],
  );
}
