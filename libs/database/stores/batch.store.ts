/** A batch as its owner sees it: create, read, list, cancel. Planning, running and ending have stores of their own. */
import { In, LessThan, MoreThan } from 'typeorm';
import type { CreateBatchBody, PageQuery } from '@millrace/contracts';
import { parseCompletionWindow } from '@millrace/contracts';
import { Conflict } from '#domain';
import type { Database } from '../database.ts';
import { BatchErrorRow, BatchRow, WebhookEndpointRow } from '../entities/index.ts';
import { appendEvent } from '../transactions/append-event.ts';
import { checkPendingLines } from '../transactions/check-pending-lines.ts';
import {
  findIdempotencyKey,
  reserveIdempotencyKey,
  type Idempotency,
} from '../transactions/idempotency-keys.ts';
import { insertFile, type NewFile } from '../transactions/insert-file.ts';
import { loadBatch, type BatchWithErrors } from '../transactions/load-batch.ts';
import { lockInputFile } from '../transactions/lock-input-file.ts';
import { insertWebhookEndpoint, type NewWebhookEndpoint } from '../transactions/webhook-endpoints.ts';

export interface NewBatch extends Omit<CreateBatchBody, 'requests' | 'webhook'> {
  readonly input_file_id: string;
  readonly id: string;
  readonly kind: string;
  /** An input file to create together with the batch. */
  readonly inputFile?: NewFile;
  /** The batch whose failed lines it retries. */
  readonly retryOf?: string;
  /** The key that its usage is counted under. */
  readonly apiKeyId?: string;
  /** An endpoint for this batch's events, besides the workspace's endpoints. */
  readonly webhookEndpoint?: NewWebhookEndpoint;
}

export class BatchStore {
  constructor(private readonly database: Database) {}

  /**
   * @param maxPendingLines the workspace's limit, this batch included.
   * @returns the new batch, or the batch that the same idempotency key created before.
   * @throws NotFound if the input file does not exist, Conflict if the key was used for another request,
   * OverLimit if the workspace would have too many pending lines.
   */
  create(
    workspaceId: string,
    input: NewBatch,
    idempotency: Idempotency | null,
    maxPendingLines = Infinity,
  ): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const earlier =
        idempotency && (await reserveIdempotencyKey(transaction, workspaceId, input.id, idempotency));
      if (earlier) return loadBatch(transaction, workspaceId, earlier);
      const { inputFile, webhookEndpoint } = input;
      if (inputFile) await insertFile(transaction, workspaceId, inputFile);
      await lockInputFile(transaction, workspaceId, input.input_file_id, inputFile !== undefined);
      await checkPendingLines(transaction, workspaceId, input.input_file_id, maxPendingLines);
      const now = Date.now();
      await transaction.repository(BatchRow).insert({
        id: input.id,
        workspaceId,
        inputFileId: input.input_file_id,
        endpoint: input.endpoint,
        kind: input.kind,
        completionWindow: input.completion_window,
        outputExpiresAfterS: input.output_expires_after?.seconds ?? null,
        metadata: input.metadata ?? null,
        outputFormat: input.output_format ?? 'jsonl',
        priority: input.priority ?? 0,
        retryOf: input.retryOf ?? null,
        apiKeyId: input.apiKeyId ?? null,
        createdAt: new Date(now),
        expiresAt: new Date(now + parseCompletionWindow(input.completion_window) * 1_000),
      });
      if (webhookEndpoint) await insertWebhookEndpoint(transaction, workspaceId, webhookEndpoint);
      return loadBatch(transaction, workspaceId, input.id);
    });
  }

  /** @returns the batch that this key created before; null if none. @throws Conflict if another request used the key. */
  findByIdempotencyKey(workspaceId: string, idempotency: Idempotency): Promise<BatchWithErrors | null> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const id = await findIdempotencyKey(transaction, workspaceId, idempotency);
      return id === null ? null : loadBatch(transaction, workspaceId, id);
    });
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, (transaction) => loadBatch(transaction, workspaceId, id));
  }

  /** @returns at most `limit` + 1 batches, so that the caller knows if there are more. */
  list(workspaceId: string, page: PageQuery): Promise<BatchWithErrors[]> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const batches = await transaction.repository(BatchRow).find({
        where: {
          workspaceId,
          ...(page.after && { id: page.order === 'asc' ? MoreThan(page.after) : LessThan(page.after) }),
        },
        order: { id: page.order },
        take: page.limit + 1,
      });
      const failed = batches.filter(({ status }) => status === 'failed').map(({ id }) => id);
      const errors = failed.length
        ? await transaction
            .repository(BatchErrorRow)
            .find({ where: { batchId: In(failed) }, order: { position: 'asc' } })
        : [];
      const webhooks = await transaction
        .repository(WebhookEndpointRow)
        .findBy({ subject: In(batches.map(({ id }) => id)) });
      return batches.map((batch) => ({
        batch,
        errors: errors.filter(({ batchId }) => batchId === batch.id),
        webhook: webhooks.find(({ subject }) => subject === batch.id) ?? null,
      }));
    });
  }

  /**
   * Starts to cancel a batch. Finished lines are kept; the others will be recorded as not run.
   * @throws NotFound; Conflict if the batch can no longer be cancelled.
   */
  cancel(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const [updated] = await transaction.rows<{ sequence: number }>(
        // The plan attempt fences out a plan in progress; its chunks are deleted when the batch ends.
        `update batches
         set status = 'cancelling', closing = 'cancelled', cancelling_at = clock_timestamp(), sequence = sequence + 1,
           paused = false, plan_attempt = plan_attempt + case status when 'validating' then 1 else 0 end
         where id = $1 and workspace_id = $2 and status in ('validating', 'in_progress')
         returning sequence`,
        [id, workspaceId],
      );
      const loaded = await loadBatch(transaction, workspaceId, id);
      const { batch } = loaded;
      if (updated) {
        await appendEvent(transaction, {
          workspaceId,
          subject: id,
          sequence: updated.sequence,
          type: 'batch.cancelling',
          terminal: false,
          data: { id },
        });
      } else if (batch.status !== 'cancelling' && batch.status !== 'cancelled') {
        throw new Conflict(`This batch is ${batch.status}; only a running batch can be cancelled.`, {
          code: 'batch_not_cancellable',
        });
      }
      return loaded;
    });
  }

  /**
   * Closes batches whose completion window is over: their remaining lines will be recorded as expired. A batch without a
   * plan has no lines yet and only needs to be finished. @returns their ids.
   */
  async expireOverdue(): Promise<string[]> {
    const rows = await this.database.rows<{ id: string }>(
      `update batches
       set closing = 'expired', paused = false,
         status = case status when 'validating' then 'finalizing' else status end,
         plan_attempt = plan_attempt + case status when 'validating' then 1 else 0 end
       where status in ('validating', 'in_progress') and closing is null and expires_at < clock_timestamp()
       returning id`,
    );
    return rows.map(({ id }) => id);
  }

  /** @returns ids of batches whose chunks are all done but that are not finished: the process that should have finished them crashed. */
  async listUnfinished(): Promise<string[]> {
    const rows = await this.database.rows<{ id: string }>(
      `select id from batches
       where status in ('finalizing', 'cancelling') and chunks_done >= chunk_count limit 100`,
    );
    return rows.map(({ id }) => id);
  }
}
