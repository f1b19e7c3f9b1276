/** Byte ranges, resolved the same way for one object and for a file of many segments. */
import { InvalidInput } from '#domain';
import type { ByteRange, RangeRequest } from './object-storage.ts';

/**
 * @param totalBytes size of what is read
 * @returns the range clamped to it, or null when no range was asked for
 * @throws InvalidInput `range_not_satisfiable` when it starts past the last byte; `invalid_range` when it is none
 */
export function resolveRange(totalBytes: number, asked: RangeRequest): ByteRange | null {
  if (asked.start === undefined && asked.end === undefined) return null;
  const { start = 0, end = Number.MAX_SAFE_INTEGER } = asked;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new InvalidInput('A range has whole numbers with 0 ≤ start ≤ end.', { code: 'invalid_range' });
  }
  if (start >= totalBytes) {
    throw new InvalidInput(`The range starts past the end: there are ${totalBytes} bytes.`, {
      code: 'range_not_satisfiable',
    });
  }
  return { start, end: Math.min(end, totalBytes - 1) };
}
