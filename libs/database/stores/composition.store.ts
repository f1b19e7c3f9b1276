/** Files of many segments that will be composed into one. */
import type { Database } from '../database.ts';
import { composeFile } from '../statements/compose-file.sql.ts';
import type { Segment } from '../transactions/insert-file.ts';
import type { StoredSegment } from './chunk.store.ts';

export interface Composition {
  readonly fileId: string;
  readonly segments: readonly Segment[];
}

export class CompositionStore {
  constructor(private readonly database: Database) {}

  /** @returns the file that has waited longest; null if none is due. Removes files that were deleted or have expired. */
  async findNext(): Promise<Composition | null> {
    await this.database.rows(
      `delete from compositions c using files f
       where f.id = c.file_id and (f.deleted_at is not null or f.expires_at <= clock_timestamp())`,
    );
    const [waiting] = await this.database.rows<{ fileId: string }>(
      `select file_id as "fileId" from compositions where due_at <= clock_timestamp() order by due_at, file_id limit 1`,
    );
    if (!waiting) return null;
    const segments = await this.database.rows<Segment>(
      'select object_key as key, bytes, lines from file_segments where file_id = $1 order by position',
      [waiting.fileId],
    );
    return { fileId: waiting.fileId, segments };
  }

  /**
   * Replaces a file's segments by the composed one. @param graceS seconds until the old objects are deleted.
   * @returns false if the file was deleted, or composed by another process: the object is garbage.
   */
  async replaceSegments(fileId: string, { key, bytes }: StoredSegment, graceS: number): Promise<boolean> {
    return (await this.database.rows(composeFile, [fileId, key, bytes, graceS])).length > 0;
  }

  /** Defers a file that cannot be composed now by an hour, so that it does not block the others. */
  async defer(fileId: string): Promise<void> {
    await this.database.rows(
      `update compositions set due_at = clock_timestamp() + interval '1 hour' where file_id = $1`,
      [fileId],
    );
  }
}
