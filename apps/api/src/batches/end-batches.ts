/** Ends batches that no worker ends: those that were not finished after their last chunk, and those whose window closed. */
import type { BatchCompletionStore, BatchStore } from '#database';
import type { Bus } from '#realtime';
import { findDamaged, type ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';

export interface EndBatchesDeps {
  readonly batches: BatchStore;
  readonly completion: BatchCompletionStore;
  readonly objects: ObjectStorage;
  readonly bus: Bus;
  readonly log: Logger;
}

export async function finishBatches(deps: EndBatchesDeps): Promise<void> {
  const { batches, completion, objects, bus, log } = deps;
  for (const batchId of await batches.listUnfinished()) {
    const lost = await completion.reopenDamaged(batchId, (segments) => findDamaged(objects, segments));
    if (lost > 0) {
      log.error(
        { batchId, chunks: lost },
        'segments are missing from object storage; their chunks run again',
      );
      continue;
    }
    if (!(await completion.finishBatch(batchId))) continue;
    bus.publishUpdate('batch', { batchId });
    void bus.publish('events.committed', {});
  }
}

export async function expireBatches({ batches, bus }: EndBatchesDeps): Promise<void> {
  for (const batchId of await batches.expireOverdue()) {
    bus.publishUpdate('batch', { batchId });
    void bus.publish('batch.closing', { batchId });
  }
}
