/** Reads the results of a batch that may still run, from the segments of its completed chunks. */
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { OutputFormat } from '@millrace/contracts';
import type { BatchCompletionStore, ResultStore } from '#database';
import { readSegments, SegmentDamaged, type ObjectStorage } from '#storage';

export interface Results {
  /** Completed chunks so far; send it as `after` to continue from there. */
  readonly nextAfter: number;
  /** More results will follow: the batch still has chunks to run. */
  readonly isIncomplete: boolean;
  /** Null if there is nothing after `after`. Reads nothing before the first line is taken. */
  lines(signal: AbortSignal): AsyncIterable<Buffer> | null;
}

/** @param after completed chunks that the caller has read before. @throws NotFound */
export type ReadResults = (workspaceId: string, batchId: string, after: number) => Promise<Results>;
export const READ_RESULTS = Symbol('read results');

export interface ReadResultsDeps {
  readonly results: ResultStore;
  readonly completion: Pick<BatchCompletionStore, 'reopenDamaged'>;
  readonly objects: ObjectStorage;
}

export function readResultsWith(deps: ReadResultsDeps): ReadResults {
  return async (workspaceId, batchId, after) => {
    const { done, isIncomplete, outputFormat } = await deps.results.getAvailableResults(workspaceId, batchId);
    const range = { workspaceId, batchId, after, until: done };
    return {
      nextAfter: Math.max(after, done),
      isIncomplete,
      lines: (signal) => (done <= after ? null : readLines(range, outputFormat, deps, signal)),
    };
  };
}

interface ResultRange {
  readonly workspaceId: string;
  readonly batchId: string;
  readonly after: number;
  readonly until: number;
}

async function* readLines(
  { workspaceId, batchId, after, until }: ResultRange,
  format: OutputFormat,
  { results, completion, objects }: ReadResultsDeps,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    for await (const segments of results.listSegments(workspaceId, batchId, after, until)) {
      if (segments.length === 0) continue;
      const stored = readSegments(objects, segments, { signal });
      yield* format === 'jsonl' ? (stored as AsyncIterable<Buffer>) : gunzipSegments(stored);
    }
  } catch (error) {
    // While the batch is open, the chunk runs again: the client repeats the request with the same `after`.
    if (error instanceof SegmentDamaged) await completion.reopenDamaged(batchId, async () => [error.key]);
    throw error;
  }
}

/** The response has plain lines in every output format. Each segment is a gzip member. */
function gunzipSegments(stored: Readable): AsyncIterable<Buffer> {
  // The iterator throws the errors. Without a callback `pipeline` would throw them a second time.
  return pipeline(stored, createGunzip(), () => undefined);
}
