/** The ends of batches whose last chunk was committed here: written while the slots run what comes next. */
import { setTimeout as wait } from 'node:timers/promises';
import type { ChunkStore } from '#database';
import type { Bus } from '#realtime';
import { findDamaged, type ObjectStore } from '#storage';
import type { Logger } from '#telemetry';

interface BatchEnders {
  readonly chunks: Pick<ChunkStore, 'reopenDamaged' | 'finishBatch'>;
  readonly store: ObjectStore;
  readonly bus: Bus;
}

/** A worker that leaves waits so long for them; the sweep writes what is missing then. */
const leavingMs = 2_000;

export class BatchEnds {
  private readonly underWay = new Set<Promise<void>>();

  constructor(private readonly on: BatchEnders) {}

  begin(batchId: string, log: Logger): void {
    const end = this.write(batchId, log).finally(() => this.underWay.delete(end));
    this.underWay.add(end);
  }

  async settle(): Promise<void> {
    await Promise.race([Promise.all(this.underWay), wait(leavingMs, undefined, { ref: false })]);
  }

  private async write(batchId: string, log: Logger): Promise<void> {
    const { chunks, store, bus } = this.on;
    try {
      const lost = await chunks.reopenDamaged(batchId, (segments) => findDamaged(store, segments));
      if (lost > 0) {
        log.error({ chunks: lost }, 'the store has lost segments; their chunks run again');
        void bus.announce('chunk.done', { batchId });
      } else if (await chunks.finishBatch(batchId)) {
        bus.signal('batch', { batchId });
        void bus.announce('facts.written', {});
      }
    } catch (error) {
      log.warn({ err: error }, 'the last chunk is done; the sweep will write the end of its batch');
    }
  }
}
