/** Cancels a batch: in Postgres, then on the workers that run its chunks. */
import type { BatchCompletionStore, BatchStore, BatchWithErrors } from '#database';
import type { Bus } from '#realtime';
import type { Logger } from '#telemetry';

/** Cancelling a cancelled batch changes nothing. @throws NotFound; Conflict `batch_not_cancellable` */
export type CancelBatch = (workspaceId: string, batchId: string) => Promise<BatchWithErrors>;
export const CANCEL_BATCH = Symbol('cancel batch');

export interface CancelBatchDeps {
  readonly batches: Pick<BatchStore, 'cancel'>;
  readonly completion: Pick<BatchCompletionStore, 'finishBatch'>;
  readonly bus: Pick<Bus, 'publish'>;
  readonly log: Logger;
}

export function cancelBatchWith({ batches, completion, bus, log }: CancelBatchDeps): CancelBatch {
  return async (workspaceId, batchId) => {
    const cancelled = await batches.cancel(workspaceId, batchId);
    void bus.publish('batch.closing', { batchId });
    void bus.publish('events.committed', {});
    // The last chunk's commit finishes a batch. Without an open chunk it is finished here.
    if (cancelled.batch.chunksDone === cancelled.batch.chunkCount) {
      await completion.finishBatch(batchId).catch((error: unknown) => {
        log.warn({ err: error, batchId }, 'could not finish a cancelled batch; the reconcile job will do it');
      });
    }
    return cancelled;
  };
}
