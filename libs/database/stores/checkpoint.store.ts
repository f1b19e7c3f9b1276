/** What is kept of chunks that are not done yet, and the objects that are to be deleted once nobody needs them. */
import type { Database } from '../database.ts';
import { retireCheckpoints, saveCheckpoint } from '../statements/checkpoints.sql.ts';
import type { ClaimedChunk, StoredSegment } from './chunk.store.ts';

export class CheckpointStore {
  constructor(private readonly database: Database) {}

  /** @returns false where another attempt holds the chunk now. */
  async save(
    { batchId, index, attempt }: Pick<ClaimedChunk, 'batchId' | 'index' | 'attempt'>,
    { key, bytes }: StoredSegment,
  ): Promise<boolean> {
    const rows = await this.database.rows(saveCheckpoint, [batchId, index, attempt, key, bytes]);
    return rows.length > 0;
  }

  /** What earlier attempts have kept, of this chunk or of the one that it is a half of. */
  list({ batchId, index }: Pick<ClaimedChunk, 'batchId' | 'index'>): Promise<StoredSegment[]> {
    return this.database.rows<StoredSegment>(
      'select object_key as key, bytes from checkpoints where batch_id = $1 and chunk = $2 order by object_key',
      [batchId, index],
    );
  }

  /** Those of chunks that are done become objects to be deleted. */
  async retireFinished(): Promise<void> {
    await this.database.rows(retireCheckpoints);
  }

  /** Keys of objects that may be deleted now: those that are due, and those whose file was deleted. */
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

  /** To be called once the objects are gone. */
  async deleteRetiredObjects(keys: readonly string[]): Promise<void> {
    await this.database.rows('delete from retired_objects where object_key = any($1)', [keys]);
  }
}
