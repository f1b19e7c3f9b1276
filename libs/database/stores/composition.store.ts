/** Files of many segments that are to become one, and the one statement that makes them so. */
import type { Database } from '../database.ts';
import { composeFile } from '../statements/compose-file.sql.ts';
import type { StoredSegment } from './chunk.store.ts';
import type { Segment } from './file.store.ts';

export interface Composition {
  readonly fileId: string;
  readonly segments: readonly Segment[];
}

export class CompositionStore {
  constructor(private readonly database: Database) {}

  /** The file that has waited longest; those that were deleted meanwhile are forgotten. */
  async findNext(): Promise<Composition | null> {
    await this.database.rows(
      `delete from compositions c using files f
       where f.id = c.file_id and (f.deleted_at is not null or f.expires_at <= clock_timestamp())`,
    );
    const [waiting] = await this.database.rows<{ fileId: string }>(
      `select file_id as "fileId" from compositions where since <= clock_timestamp() order by since, file_id limit 1`,
    );
    if (!waiting) return null;
    const segments = await this.database.rows<Segment>(
      'select object_key as key, bytes, lines from file_segments where file_id = $1 order by position',
      [waiting.fileId],
    );
    return { fileId: waiting.fileId, segments };
  }

  /** @returns false where the file is gone, or was composed by another: the object is garbage. */
  async replaceSegments(fileId: string, { key, bytes }: StoredSegment, graceS: number): Promise<boolean> {
    return (await this.database.rows(composeFile, [fileId, key, bytes, graceS])).length > 0;
  }

  /** Puts a file off that can't be composed now, so that the others have their turn. */
  async defer(fileId: string): Promise<void> {
    await this.database.rows(
      `update compositions set since = clock_timestamp() + interval '1 hour' where file_id = $1`,
      [fileId],
    );
  }
}
