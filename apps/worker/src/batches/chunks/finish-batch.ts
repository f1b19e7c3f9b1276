/** Ends a batch after its last chunk was committed, if the object storage still has all of its segments. */
import type { BatchCompletionStore } from '#database';
import type { Bus } from '#realtime';
import { findDamaged, type ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';

export interface FinishBatchDeps {
  readonly completion: BatchCompletionStore;
  readonly objects: ObjectStorage;
  readonly bus: Bus;
}

/** Never rejects: the reconcile job ends a batch that this function could not. */
export async function finishBatch(
  batchId: string,
  { completion, objects, bus }: FinishBatchDeps,
  log: Logger,
): Promise<void> {
  try {
    const reopened = await completion.reopenDamaged(batchId, (segments) => findDamaged(objects, segments));
    if (reopened > 0) {
      log.error({ chunks: reopened }, 'segments are missing or damaged, so their chunks run again');
      void bus.publish('chunk.done', { batchId });
    } else if (await completion.finishBatch(batchId)) {
      bus.publishUpdate('batch', { batchId });
      void bus.publish('events.committed', {});
    }
  } catch (error) {
    log.warn({ err: error }, 'could not end a batch after its last chunk; the reconcile job will end it');
  }
}
