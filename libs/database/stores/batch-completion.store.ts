/** The completion of a batch: checks that its segments exist, and finishes it. */
import type { Database } from '../database.ts';
import { reopenChunks } from '../statements/reopen-chunks.sql.ts';
import { finishBatch } from '../transactions/finish-batch.ts';
import type { StoredSegment } from './chunk.store.ts';

/** Number of times that a chunk is reopened because its segments are missing. */
const maxReopenings = 3;

/** Checks which of these segments are missing from object storage or have another size. @returns their keys. */
export type FindDamagedSegments = (segments: readonly StoredSegment[]) => Promise<readonly string[]>;

interface DoneChunk {
  readonly index: number;
  readonly attempt: number;
  readonly output: string | null;
  readonly outputBytes: number;
  readonly errors: string | null;
  readonly errorBytes: number;
}

export class BatchCompletionStore {
  constructor(private readonly database: Database) {}

  /**
   * Checks the segments of all done chunks before a batch is finished, and reopens the chunks whose segments are damaged,
   * unless they were reopened too often. @returns the number of reopened chunks.
   */
  async reopenDamaged(batchId: string, findDamaged: FindDamagedSegments): Promise<number> {
    const done = await this.database.rows<DoneChunk>(
      `select c.index, c.attempt, c.output_key as output, c.output_bytes as "outputBytes", c.error_key as errors,
         c.error_bytes as "errorBytes"
       from chunks c join batches b on b.id = c.batch_id
       where c.batch_id = $1 and c.status = 'done' and b.status in ('in_progress', 'finalizing', 'cancelling')`,
      [batchId],
    );
    const segments = done.flatMap(({ output, outputBytes, errors, errorBytes }) => [
      ...(output ? [{ key: output, bytes: outputBytes }] : []),
      ...(errors ? [{ key: errors, bytes: errorBytes }] : []),
    ]);
    const damagedKeys = new Set(segments.length > 0 ? await findDamaged(segments) : []);
    const damaged = done.filter(
      ({ output, errors }) => damagedKeys.has(output ?? '') || damagedKeys.has(errors ?? ''),
    );
    if (damaged.length === 0) return 0;
    const reopened = await this.database.rows(reopenChunks, [
      batchId,
      damaged.map(({ index }) => index),
      damaged.map(({ attempt }) => attempt),
      maxReopenings,
    ]);
    return reopened.length;
  }

  /**
   * Finishes a batch whose chunks are all done, in one transaction: its segments become files, its state and its events are
   * written. Any process may call it at any time. @returns whether this call finished it.
   */
  finishBatch(batchId: string): Promise<boolean> {
    return this.database.asSystem((transaction) => finishBatch(transaction, batchId));
  }
}
