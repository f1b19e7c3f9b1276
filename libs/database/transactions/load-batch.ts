import { NotFound } from '#domain';
import { BatchErrorRow, BatchRow, WebhookEndpointRow } from '../entities/index.ts';
import type { Transaction } from '../transaction.ts';

export interface BatchWithErrors {
  readonly batch: BatchRow;
  readonly errors: BatchErrorRow[];
  readonly webhook: WebhookEndpointRow | null;
}

/** @returns a batch with its validation errors and its webhook endpoint. @throws NotFound */
export async function loadBatch(
  transaction: Transaction,
  workspaceId: string,
  id: string,
): Promise<BatchWithErrors> {
  const batch = await transaction.repository(BatchRow).findOneBy({ id, workspaceId });
  if (!batch) throw new NotFound('No such batch.', { code: 'batch_not_found' });
  const errors =
    batch.status === 'failed'
      ? await transaction
          .repository(BatchErrorRow)
          .find({ where: { batchId: id }, order: { position: 'asc' } })
      : [];
  const webhook = await transaction.repository(WebhookEndpointRow).findOneBy({ subject: id });
  return { batch, errors, webhook };
}
