/** Writes a batch with its event and its idempotency key in one transaction, then puts its plan in the queue. */
import { channel } from 'node:diagnostics_channel';
import type { BatchStore, Idempotency, NewBatch, NewFile } from '#database';
import { Unavailable } from '#domain';
import type { Queues } from '#queues';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import type { CreatedBatch } from './batch-object.ts';

/** Published after the commit and before the queue: tests end the process at this point. */
const committed = channel('millrace:batch.committed');

export interface SubmitBatchDeps {
  readonly batches: BatchStore;
  readonly objects: ObjectStorage;
  readonly queues: Queues;
  /** Pending lines that a workspace may have. */
  readonly maxPendingLines: number;
  readonly log: Logger;
}

export interface SubmitBatchOptions {
  readonly idempotency: Idempotency | null;
  /** Secret of the webhook endpoint that is created with the batch. */
  readonly webhookSecret: string | undefined;
}

/**
 * @returns the batch, or the one that the idempotency key created before. The input file of `batch` is deleted then.
 * @throws Conflict, NotFound, OverLimit, Unavailable
 */
export async function submitBatch(
  workspaceId: string,
  batch: NewBatch,
  { idempotency, webhookSecret }: SubmitBatchOptions,
  deps: SubmitBatchDeps,
): Promise<CreatedBatch> {
  const { batches, objects } = deps;
  const created = await batches
    .create(workspaceId, batch, idempotency, deps.maxPendingLines)
    .catch(async (error: unknown) => {
      // After Unavailable the rows may be committed: their object must stay.
      if (!(error instanceof Unavailable)) await deleteInput(batch.inputFile, objects);
      throw error;
    });
  if (created.batch.id !== batch.id) {
    await deleteInput(batch.inputFile, objects);
    return created;
  }
  committed.publish({ batchId: batch.id });
  await enqueuePlan(batch.id, created.batch.planGeneration, deps);
  return { ...created, ...(webhookSecret && { webhookSecret }) };
}

/** Deletes the objects of a file that no row refers to. If that fails, garbage collection deletes them. */
export async function deleteInput(file: NewFile | undefined, objects: ObjectStorage): Promise<void> {
  await objects.delete((file?.segments ?? []).map(({ key }) => key)).catch(() => undefined);
}

async function enqueuePlan(
  batchId: string,
  generation: number,
  { queues, log }: SubmitBatchDeps,
): Promise<void> {
  await queues.add('plan', null, [{ payload: { batchId, generation } }]).catch((error: unknown) => {
    log.warn({ err: error, batchId }, 'could not queue a new batch; the reconcile job will queue it');
  });
}
