/** Reads a file, which is an ordered list of segments, as one stream: for content, ranges and live results. */
import type { Readable } from 'node:stream';
import { InvalidInput, NotFound } from '#domain';
import { SegmentDamaged } from './errors.ts';
import { resolveRange } from './ranges.ts';
import { toReadable } from './to-readable.ts';
import type { ObjectStorage, RangeRequest, StoredObject } from './object-storage.ts';

/** An object with consecutive lines of a file. */
export interface Segment {
  readonly key: string;
  readonly bytes: number;
  readonly lines: number;
  /** Set if the segment is a part of a larger object: where it begins there. The size of that object is then not checked. */
  readonly offset?: number;
}

/** A range of one segment; `end` is inclusive. */
interface Slice {
  readonly segment: Segment;
  readonly start: number;
  readonly end: number;
}

/**
 * Streams the bytes of `segments` in order. One segment is open at a time.
 *
 * A range counts the bytes of the whole file. The stream fails with `SegmentDamaged` when it reaches a segment that is
 * missing or does not have its recorded size; the bytes before it are correct. Destroying the stream or aborting the
 * signal closes the open segment.
 * @throws InvalidInput synchronously for an invalid range or one that starts after the end
 */
export function readSegments(
  storage: Pick<ObjectStorage, 'get'>,
  segments: readonly Segment[],
  options: RangeRequest & { readonly signal?: AbortSignal } = {},
): Readable {
  const totalBytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const range = resolveRange(totalBytes, options) ?? { start: 0, end: totalBytes - 1 };
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([ended.signal, options.signal]) : ended.signal;
  const chunks = readSlices(storage, toSlices(segments, range.start, range.end), signal);
  return toReadable(chunks, { signal: options.signal, release: () => ended.abort() });
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
  storage: Pick<ObjectStorage, 'get'>,
  slices: Iterable<Slice>,
  signal: AbortSignal,
): AsyncGenerator<Buffer, undefined, undefined> {
  for (const slice of slices) {
    const { stream } = await openSlice(storage, slice, signal);
    let left = slice.end - slice.start + 1;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      left -= chunk.length;
      if (chunk.length > 0) yield chunk;
    }
    if (left !== 0) throw new SegmentDamaged(slice.segment.key, slice.segment.bytes, slice.end + 1 - left);
  }
}

async function openSlice(
  storage: Pick<ObjectStorage, 'get'>,
  slice: Slice,
  signal: AbortSignal,
): Promise<StoredObject> {
  const { segment, start, end } = slice;
  try {
    const { key, bytes, offset } = segment;
    if (offset === undefined) return await storage.get(key, { start, end, expectedBytes: bytes, signal });
    return await storage.get(key, { start: offset + start, end: offset + end, signal });
  } catch (error) {
    if (error instanceof NotFound) throw new SegmentDamaged(segment.key, segment.bytes, null, error);
    // The object is shorter than the offset of the segment.
    if (segment.offset !== undefined && error instanceof InvalidInput)
      throw new SegmentDamaged(segment.key, segment.bytes, 0, error);
    throw error;
  }
}
