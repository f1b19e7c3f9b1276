/** A batch as its owner sees it: created, read, listed, cancelled. Planning and running have stores of their own. */
import { In, LessThan, MoreThan } from 'typeorm';
import type { CreateBatchBody, PageQuery } from '@millrace/contracts';
import { windowSeconds } from '@millrace/contracts';
import { Conflict, InvalidInput, NotFound } from '#domain';
import type { Database, Transaction } from '../database.ts';
import { BatchErrorRow, BatchRow, WebhookEndpointRow } from '../entities/index.ts';
import { checkPendingLines } from '../transactions/check-pending-lines.ts';
import { insertWebhookEndpoint, type NewWebhookEndpoint } from './webhook-endpoint.store.ts';
import { appendEvent } from './feed.store.ts';
import { insertFile, type NewFile } from './file.store.ts';
import {
  findIdempotencyKey,
  reserveIdempotencyKey,
  type Idempotency,
} from '../transactions/idempotency-keys.ts';

export interface NewBatch extends Omit<CreateBatchBody, 'requests' | 'webhook'> {
  readonly input_file_id: string;
  readonly id: string;
  readonly kind: string;
  /** Input that was made for this batch: its file begins with it. */
  readonly inputFile?: NewFile;
  /** The batch whose failed lines these are. */
  readonly retryOf?: string;
  /** Whose use it is. */
  readonly apiKeyId?: string;
  /** Where its events are sent, beside the workspace's endpoints. */
  readonly webhookEndpoint?: NewWebhookEndpoint;
}

export interface BatchWithErrors {
  readonly batch: BatchRow;
  readonly errors: BatchErrorRow[];
  readonly webhook: WebhookEndpointRow | null;
}

export class BatchStore {
  constructor(private readonly database: Database) {}

  /**
   * @returns the new batch, or the one that the same key made before.
   * @param maxPendingLines of the workspace, these included.
   * @throws NotFound when the input file isn't there, Conflict when the key was used for another request,
   * OverLimit when too many lines wait.
   */
  create(
    workspaceId: string,
    input: NewBatch,
    idempotency: Idempotency | null,
    maxPendingLines = Infinity,
  ): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const earlier = idempotency && (await reserveIdempotencyKey(tx, workspaceId, input.id, idempotency));
      if (earlier) return loadBatch(tx, workspaceId, earlier);
      if (input.inputFile) await insertFile(tx, workspaceId, input.inputFile);
      await lockInputFile(tx, workspaceId, input);
      await checkPendingLines(tx, workspaceId, input.input_file_id, maxPendingLines);
      const now = Date.now();
      await tx.getRepository(BatchRow).insert({
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
        expiresAt: new Date(now + windowSeconds(input.completion_window) * 1_000),
      });
      if (input.webhookEndpoint) await insertWebhookEndpoint(tx, workspaceId, input.webhookEndpoint);
      return loadBatch(tx, workspaceId, input.id);
    });
  }

  /** @returns the batch that this key made before, so that its input need not be made again. @throws Conflict */
  findByIdempotencyKey(workspaceId: string, idempotency: Idempotency): Promise<BatchWithErrors | null> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const id = await findIdempotencyKey(tx, workspaceId, idempotency);
      return id === null ? null : loadBatch(tx, workspaceId, id);
    });
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, (tx) => loadBatch(tx, workspaceId, id));
  }

  /** One row more than `limit` where there are more; each with its errors. */
  list(workspaceId: string, page: PageQuery): Promise<BatchWithErrors[]> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const batches = await tx.getRepository(BatchRow).find({
        where: {
          workspaceId,
          ...(page.after && { id: page.order === 'asc' ? MoreThan(page.after) : LessThan(page.after) }),
        },
        order: { id: page.order },
        take: page.limit + 1,
      });
      const failed = batches.filter(({ status }) => status === 'failed').map(({ id }) => id);
      const errors = failed.length
        ? await tx
            .getRepository(BatchErrorRow)
            .find({ where: { batchId: In(failed) }, order: { position: 'asc' } })
        : [];
      const webhooks = await tx
        .getRepository(WebhookEndpointRow)
        .findBy({ subject: In(batches.map(({ id }) => id)) });
      return batches.map((batch) => ({
        batch,
        errors: errors.filter(({ batchId }) => batchId === batch.id),
        webhook: webhooks.find(({ subject }) => subject === batch.id) ?? null,
      }));
    });
  }

  /**
   * Asks for the end. What has run is kept; the rest will be recorded as not run.
   * @throws NotFound; Conflict when the batch is past cancelling.
   */
  cancel(workspaceId: string, id: string): Promise<BatchWithErrors> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const [rows] = await tx.query<[{ sequence: number }[], number]>(
        // A plan under way is fenced out by its attempt; its chunks go with the batch's end.
        `update batches
         set status = 'cancelling', closing = 'cancelled', cancelling_at = clock_timestamp(), sequence = sequence + 1,
           paused = false, plan_attempt = plan_attempt + case status when 'validating' then 1 else 0 end
         where id = $1 and workspace_id = $2 and status in ('validating', 'in_progress')
         returning sequence`,
        [id, workspaceId],
      );
      const loaded = await loadBatch(tx, workspaceId, id);
      const { batch } = loaded;
      if (rows[0]) {
        await appendEvent(tx, {
          workspaceId,
          subject: id,
          sequence: rows[0].sequence,
          type: 'batch.cancelling',
          terminal: false,
          data: { id },
        });
      } else if (batch.status !== 'cancelling' && batch.status !== 'cancelled') {
        throw new Conflict(
          `This batch is ${batch.status}; only one that is still running can be cancelled.`,
          {
            code: 'batch_not_cancellable',
          },
        );
      }
      return loaded;
    });
  }

  /**
   * Batches whose window has closed: their remaining lines will be recorded as expired. One that was never planned
   * has no lines yet, and only waits for its end to be written. @returns their ids.
   */
  async expireOverdue(): Promise<string[]> {
    const rows = await this.database.rows<{ id: string }>(
      `with overdue as (
         update batches
         set closing = 'expired', paused = false,
           status = case status when 'validating' then 'finalizing' else status end,
           plan_attempt = plan_attempt + case status when 'validating' then 1 else 0 end
         where status in ('validating', 'in_progress') and closing is null and expires_at < clock_timestamp()
         returning id)
       select id from overdue`,
    );
    return rows.map(({ id }) => id);
  }

  /** Batches whose last chunk is done but whose end was not written: their finisher died. */
  async listUnfinished(): Promise<string[]> {
    const rows = await this.database.rows<{ id: string }>(
      `select id from batches
       where status in ('finalizing', 'cancelling') and chunks_done >= chunk_count limit 100`,
    );
    return rows.map(({ id }) => id);
  }
}

/** Held `for share` until the batch is visible, so that the file can't be deleted in between. */
async function lockInputFile(tx: Transaction, workspaceId: string, batch: NewBatch): Promise<void> {
  const [file] = await tx.query<{ purpose: string; status: string }[]>(
    `select purpose, status from files
     where id = $1 and workspace_id = $2 and deleted_at is null and (expires_at is null or expires_at > now())
     for share`,
    [batch.input_file_id, workspaceId],
  );
  const details = { code: 'file_not_found', param: 'input_file_id' };
  if (!file) throw new NotFound('No such file. Upload it with purpose=batch first.', details);
  if (file.purpose !== 'batch') {
    throw new InvalidInput(`This file's purpose is ${file.purpose}; a batch reads files of purpose=batch.`, {
      code: 'wrong_purpose',
      param: 'input_file_id',
    });
  }
  if (file.status !== 'processed' && !batch.inputFile) {
    throw new InvalidInput(`This file's status is ${file.status}; a batch reads files that are processed.`, {
      code: 'file_not_processed',
      param: 'input_file_id',
    });
  }
}

/** A batch with the errors it failed with and its webhook, in the caller's transaction. @throws NotFound */
export async function loadBatch(tx: Transaction, workspaceId: string, id: string): Promise<BatchWithErrors> {
  const batch = await tx.getRepository(BatchRow).findOneBy({ id, workspaceId });
  if (!batch) throw new NotFound('No such batch.', { code: 'batch_not_found' });
  const errors =
    batch.status === 'failed'
      ? await tx.getRepository(BatchErrorRow).find({ where: { batchId: id }, order: { position: 'asc' } })
      : [];
  const webhook = await tx.getRepository(WebhookEndpointRow).findOneBy({ subject: id });
  return { batch, errors, webhook };
}
