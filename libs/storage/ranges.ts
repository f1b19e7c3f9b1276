/** Resolves byte ranges, in the same way for one object and for a file of many segments, and limits what is read into memory. */
import { InvalidInput, OverLimit } from '#domain';
import type { ByteRange, RangeRequest } from './object-storage.ts';

/**
 * @param totalBytes size of the object or file
 * @returns the range, clamped to `totalBytes`; null if the request has no range
 * @throws InvalidInput `range_not_satisfiable` if the range starts after the last byte, `invalid_range` if it is not a range
 */
export function resolveRange(totalBytes: number, requested: RangeRequest): ByteRange | null {
  if (requested.start === undefined && requested.end === undefined) return null;
  const { start = 0, end = Number.MAX_SAFE_INTEGER } = requested;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new InvalidInput('A range must have integers with 0 ≤ start ≤ end.', { code: 'invalid_range' });
  }
  if (start >= totalBytes) {
    throw new InvalidInput(`The range starts after the last of ${totalBytes} bytes.`, {
      code: 'range_not_satisfiable',
    });
  }
  return { start, end: Math.min(end, totalBytes - 1) };
}

/** The largest object or range that `read` returns in one buffer. */
const maxReadBytes = 256 * 1024 * 1024;

export function assertReadSize(bytes: number): void {
  if (bytes <= maxReadBytes) return;
  throw new OverLimit('The object is too large to read at once. Read it as a stream.', {
    code: 'read_too_large',
  });
}
