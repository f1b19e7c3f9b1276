/** A chunk's byte range, read at once, and the lines in it that the plan counted. */
import { buffer } from 'node:stream/consumers';
import type { ClaimedChunk } from '#database';
import { LineCounter, splitBufferLines, Unavailable, type Line } from '#domain';
import { readSegments, type ObjectStore } from '#storage';
import type { InputFiles } from './input-files.ts';

/**
 * @returns the lines, made anew each time they are gone through: thousands that wait for their turn would be moved
 * by each of the many collections meanwhile.
 * @throws Unavailable when the stored input is not what was planned: a segment is missing or was cut.
 */
export async function readChunkLines(
  chunk: ClaimedChunk,
  inputs: InputFiles,
  objects: ObjectStore,
  lineMaxBytes: number,
  signal: AbortSignal,
): Promise<Iterable<Line>> {
  const segments = await inputs.getSegments(chunk.workspaceId, chunk.inputFileId);
  const { byteStart: start, byteLength } = chunk;
  const wanted = { start, end: start + byteLength - 1, signal };
  const [only] = segments;
  const range =
    only && segments.length === 1
      ? await objects.read(only.key, { ...wanted, expectedBytes: only.bytes })
      : await buffer(readSegments(objects, segments, wanted));
  const counter = new LineCounter();
  counter.add(range);
  counter.end();
  if (counter.lines !== chunk.lines) {
    throw new Unavailable(
      `Chunk ${chunk.index} of ${chunk.batchId} holds ${counter.lines} lines where ${chunk.lines} were planned: the stored input has changed.`,
      { code: 'input_file_damaged' },
    );
  }
  const options = { maxBytes: lineMaxBytes, firstLine: chunk.firstLine, start };
  return { [Symbol.iterator]: () => splitBufferLines(range, options) };
}
