/** Converts a chunk to the object that the API returns. */
import type { ChunkObject } from '@millrace/contracts';
import type { ChunkRow } from '#database';
import { toUnixSeconds } from '../http/unix-seconds.ts';

export function toChunkObject(chunk: ChunkRow): ChunkObject {
  const { index, completed, failed, canceled, expired } = chunk;
  return {
    id: String(index),
    object: 'batch.chunk',
    index,
    status: chunk.status,
    first_line: chunk.firstLine,
    lines: chunk.lines,
    attempt: chunk.attempt,
    request_counts: { completed, failed, canceled, expired },
    started_at: toUnixSeconds(chunk.startedAt),
    finished_at: toUnixSeconds(chunk.finishedAt),
  };
}
