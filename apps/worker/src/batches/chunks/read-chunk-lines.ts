/** Reads the byte range of a chunk at once, and splits it into the lines that the plan counted. */
import { buffer } from 'node:stream/consumers';
import type { ClaimedChunk } from '#database';
import { LineCounter, splitBufferLines, Unavailable, type Line } from '#domain';
import { readSegments, type ObjectStorage } from '#storage';
import type { InputFiles } from './input-files.ts';

/**
 * @returns the lines, split again on each iteration. Thousands of line objects that wait for their call would be moved
 * by every garbage collection.
 * @throws Unavailable when the stored input is not what was planned: a segment is missing or truncated.
 */
export async function readChunkLines(
  chunk: ClaimedChunk,
  inputFiles: InputFiles,
  objects: ObjectStorage,
  lineMaxBytes: number,
  signal: AbortSignal,
): Promise<Iterable<Line>> {
  const segments = await inputFiles.getSegments(chunk.workspaceId, chunk.inputFileId);
  const { byteStart: start, byteLength } = chunk;
  const request = { start, end: start + byteLength - 1, signal };
  const [only] = segments;
  const range =
    only && segments.length === 1
      ? await objects.read(only.key, { ...request, expectedBytes: only.bytes })
      : await buffer(readSegments(objects, segments, request));
  const counter = new LineCounter();
  counter.add(range);
  counter.end();
  if (counter.lines !== chunk.lines) {
    throw new Unavailable(
      `Chunk ${chunk.index} of ${chunk.batchId} has ${counter.lines} lines instead of the planned ${chunk.lines}: the stored input has changed.`,
      { code: 'input_file_damaged' },
    );
  }
  const options = { maxBytes: lineMaxBytes, firstLine: chunk.firstLine, start };
  return { [Symbol.iterator]: () => splitBufferLines(range, options) };
}
