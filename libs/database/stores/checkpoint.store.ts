/** Checkpoints of running chunks, and retired objects. */
import type { Database } from '../database.ts';
import { retireCheckpoints, saveCheckpoint } from '../statements/checkpoints.sql.ts';
import type { ClaimedChunk, StoredSegment } from './chunk.store.ts';

export class CheckpointStore {
  constructor(private readonly database: Database) {}

  /** @returns false if another attempt holds the chunk now. */
  async save(
    { batchId, index, attempt }: Pick<ClaimedChunk, 'batchId' | 'index' | 'attempt'>,
    { key, bytes }: StoredSegment,
  ): Promise<boolean> {
    const rows = await this.database.rows(saveCheckpoint, [batchId, index, attempt, key, bytes]);
    return rows.length > 0;
  }

  /** @returns the checkpoints of earlier attempts, including those from before the chunk was split. */
  list({ batchId, index }: Pick<ClaimedChunk, 'batchId' | 'index'>): Promise<StoredSegment[]> {
    return this.database.rows<StoredSegment>(
      'select object_key as key, bytes from checkpoints where batch_id = $1 and chunk = $2 order by object_key',
      [batchId, index],
    );
  }

  /** Retires the checkpoints of chunks that are done. */
  async retireFinished(): Promise<void> {
    await this.database.rows(retireCheckpoints);
  }

  /** @returns keys of retired objects to delete now: those that are due, and those of deleted files. */
  async listRetiredObjects(limit: number): Promise<string[]> {
    const rows = await this.database.rows<{ key: string }>(
      `select r.object_key as key
       from retired_objects r left join files f on f.id = r.file_id
       where r.due_at <= clock_timestamp() or f.deleted_at is not null
       limit $1`,
      [limit],
    );
    return rows.map(({ key }) => key);
  }

  /** Call it after the objects are deleted. */
  async deleteRetiredObjects(keys: readonly string[]): Promise<void> {
    await this.database.rows('delete from retired_objects where object_key = any($1)', [keys]);
  }
}
