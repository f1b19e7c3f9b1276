/** Streams what a batch has done so far, straight from its chunks' segments; where to go on stands in the head. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OutputFormat } from '#contracts';
import type { ChunkStore, ResultStore } from '#database';
import { readSegments, SegmentDamaged, type ObjectStore } from '#storage';
import { leftDuring } from '../wire/aborted.ts';

export interface Results {
  readonly workspaceId: string;
  readonly batchId: string;
  /** Chunks that the caller has read before. */
  readonly after: number;
  readonly results: ResultStore;
  readonly chunks: ChunkStore;
  readonly store: ObjectStore;
}

/** @throws NotFound */
export async function sendResults(
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: Results,
): Promise<void> {
  const { workspaceId, batchId, after, results } = wanted;
  const { done, isIncomplete, outputFormat } = await results.soFar(workspaceId, batchId);
  void reply
    .status(200)
    .header('content-type', 'application/x-ndjson')
    .header('cache-control', 'private, no-store')
    .header('x-content-type-options', 'nosniff')
    .header('x-next-after', Math.max(after, done));
  if (isIncomplete) void reply.header('x-incomplete', 'true');
  const nothing = request.method === 'HEAD' || done <= after;
  const signal = leftDuring(reply);
  await reply.send(
    nothing
      ? Readable.from([])
      : Readable.from(linesOf(wanted, done, outputFormat, signal), { objectMode: false }),
  );
}

async function* linesOf(
  { workspaceId, batchId, after, results, chunks, store }: Results,
  until: number,
  format: OutputFormat,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    for await (const segments of results.segments(workspaceId, batchId, after, until)) {
      if (segments.length === 0) continue;
      const stored = readSegments(store, segments, { signal });
      yield* format === 'jsonl' ? (stored as AsyncIterable<Buffer>) : expanded(stored);
    }
  } catch (error) {
    // While the batch is open its chunk runs again; the caller, who asks again with the same `after`, waits for it.
    if (error instanceof SegmentDamaged) await chunks.reopenDamaged(batchId, async () => [error.key]);
    throw error;
  }
}

/** Lines are what is asked for here, however they are kept. Each segment is a gzip member, one follows the other. */
function expanded(stored: Readable): AsyncIterable<Buffer> {
  // The iterator reports what goes wrong; the callback only keeps it from being thrown.
  return pipeline(stored, createGunzip(), () => undefined);
}
