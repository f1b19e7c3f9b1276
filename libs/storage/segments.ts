/**
 * A file is an ordered list of segments; this reads it as the one stream it stands for. Content, ranges and live
 * results all come through here.
 */
import { Readable } from 'node:stream';
import { InvalidInput, NotFound } from '#domain';
import { SegmentDamaged } from './errors.ts';
import { resolveRange } from './ranges.ts';
import type { ObjectStorage, RangeRequest, StoredObject } from './object-storage.ts';

/** A run of a file's lines, as one object. */
export interface Segment {
  readonly key: string;
  readonly bytes: number;
  readonly lines: number;
  /** Where it begins in its object, which then holds more than this: nothing is said of that object's size. */
  readonly offset?: number;
}

/** What is to be read of one segment; `end` is included. */
interface Slice {
  readonly segment: Segment;
  readonly start: number;
  readonly end: number;
}

/**
 * Streams the bytes of `segments` in order, one open at a time, as fast as the reader takes them.
 *
 * A range is over the whole file and counted as the store counts it. The stream fails with `SegmentDamaged` when
 * a segment is missing or not the size of its record: what came before is good, nothing after it comes.
 * Destroying the stream, or the signal, closes what is open.
 * @throws InvalidInput at once for a range that is none or starts past the end
 */
export function readSegments(
  objects: Pick<ObjectStorage, 'get'>,
  segments: readonly Segment[],
  options: RangeRequest & { readonly signal?: AbortSignal } = {},
): Readable {
  const totalBytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const range = resolveRange(totalBytes, options) ?? { start: 0, end: totalBytes - 1 };
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([ended.signal, options.signal]) : ended.signal;
  const chunks = readSlices(objects, toSlices(segments, range.start, range.end), signal);
  return new Readable({
    highWaterMark: 256 * 1024,
    ...(options.signal && { signal: options.signal }),
    read() {
      chunks.next().then(
        ({ done, value }) => this.push(done ? null : value),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      // Not through the generator alone: its `return` would wait for a read that may be stuck on the network.
      ended.abort();
      chunks.return(undefined).catch(() => undefined);
      callback(error);
    },
  });
}

function* toSlices(segments: readonly Segment[], start: number, end: number): Generator<Slice> {
  let offset = 0;
  for (const segment of segments) {
    const first = offset;
    offset += segment.bytes;
    if (offset <= start || segment.bytes === 0) continue;
    if (first > end) return;
    yield { segment, start: Math.max(0, start - first), end: Math.min(segment.bytes - 1, end - first) };
  }
}

async function* readSlices(
  objects: Pick<ObjectStorage, 'get'>,
  slices: Iterable<Slice>,
  signal: AbortSignal,
): AsyncGenerator<Buffer, undefined, undefined> {
  for (const slice of slices) {
    const { stream } = await openSlice(objects, slice, signal);
    let left = slice.end - slice.start + 1;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      left -= chunk.length;
      if (chunk.length > 0) yield chunk;
    }
    if (left !== 0) throw new SegmentDamaged(slice.segment.key, slice.segment.bytes, slice.end + 1 - left);
  }
}

async function openSlice(
  objects: Pick<ObjectStorage, 'get'>,
  slice: Slice,
  signal: AbortSignal,
): Promise<StoredObject> {
  const { segment, start, end } = slice;
  try {
    const { key, bytes, offset } = segment;
    if (offset === undefined) return await objects.get(key, { start, end, expectedBytes: bytes, signal });
    return await objects.get(key, { start: offset + start, end: offset + end, signal });
  } catch (error) {
    if (error instanceof NotFound) throw new SegmentDamaged(segment.key, segment.bytes, null, error);
    // It is shorter than where this part of it begins.
    if (segment.offset !== undefined && error instanceof InvalidInput)
      throw new SegmentDamaged(segment.key, segment.bytes, 0, error);
    throw error;
  }
}
