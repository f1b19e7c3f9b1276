/** Streams what a batch has done so far, straight from its chunks' segments; where to go on stands in the head. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OutputFormat } from '@millrace/contracts';
import type { ChunkStore, ResultStore } from '#database';
import { readSegments, SegmentDamaged, type ObjectStore } from '#storage';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';

export interface ResultsRequest {
  readonly workspaceId: string;
  readonly batchId: string;
  /** Chunks that the caller has read before. */
  readonly after: number;
  readonly results: ResultStore;
  readonly chunks: ChunkStore;
  readonly objects: ObjectStore;
}

/** @throws NotFound */
export async function sendResults(
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: ResultsRequest,
): Promise<void> {
  const { workspaceId, batchId, after, results } = wanted;
  const { done, isIncomplete, outputFormat } = await results.getAvailableResults(workspaceId, batchId);
  void reply
    .status(200)
    .header('content-type', 'application/x-ndjson')
    .header('cache-control', 'private, no-store')
    .header('x-content-type-options', 'nosniff')
    .header('x-next-after', Math.max(after, done));
  if (isIncomplete) void reply.header('x-incomplete', 'true');
  const nothing = request.method === 'HEAD' || done <= after;
  const signal = createResponseAbortSignal(reply);
  await reply.send(
    nothing
      ? Readable.from([])
      : Readable.from(readResultLines(wanted, done, outputFormat, signal), { objectMode: false }),
  );
}

async function* readResultLines(
  { workspaceId, batchId, after, results, chunks, objects }: ResultsRequest,
  until: number,
  format: OutputFormat,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    for await (const segments of results.listSegments(workspaceId, batchId, after, until)) {
      if (segments.length === 0) continue;
      const stored = readSegments(objects, segments, { signal });
      yield* format === 'jsonl' ? (stored as AsyncIterable<Buffer>) : gunzipSegments(stored);
    }
  } catch (error) {
    // While the batch is open its chunk runs again; the caller, who asks again with the same `after`, waits for it.
    if (error instanceof SegmentDamaged) await chunks.reopenDamaged(batchId, async () => [error.key]);
    throw error;
  }
}

/** Lines are what is asked for here, however they are kept. Each segment is a gzip member, one follows the other. */
function gunzipSegments(stored: Readable): AsyncIterable<Buffer> {
  // The iterator reports what goes wrong; the callback only keeps it from being thrown.
  return pipeline(stored, createGunzip(), () => undefined);
}
