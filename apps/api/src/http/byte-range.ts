/** The `Range` header of a request for content, taken apart before anything is opened (RFC 9110, section 14). */
import { InvalidInput } from '#domain';

/** What is served: bytes counted from 0, both ends included. */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
}

const unit = /^\s*bytes\s*=/i;
const intRange = /^(\d+)-(\d*)$/;
const suffixRange = /^-(\d+)$/;

/**
 * @param header the header as received; of a method other than GET, pass undefined (RFC 9110, 14.2)
 * @param totalBytes size of the whole content
 * @returns the range within it, for a 206; null when the whole is to be served with 200: no header, another unit,
 *   a malformed one (to be ignored, 14.2), or several ranges at once (which a server may answer with the whole)
 * @throws InvalidInput `range_not_satisfiable`, for a 416 that says the total: a range that starts past the
 *   end, or asks for the last 0 bytes
 */
export function parseRange(header: string | undefined, totalBytes: number): ContentRange | null {
  if (header === undefined || !unit.test(header)) return null;
  // A list may have empty elements (RFC 9110, 5.6.1.2).
  const specs = header
    .replace(unit, '')
    .split(',')
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  const [spec] = specs;
  if (spec === undefined || specs.length > 1) return null;

  const suffix = suffixRange.exec(spec);
  if (suffix) return toSuffixRange(Number(suffix[1]), totalBytes);

  const from = intRange.exec(spec);
  if (!from) return null;
  const start = Number(from[1]);
  const end = from[2] === '' ? Number.POSITIVE_INFINITY : Number(from[2]);
  if (end < start) return null;
  if (start >= totalBytes) throw rangeNotSatisfiable(totalBytes);
  return { start, end: Math.min(end, totalBytes - 1) };
}

function toSuffixRange(count: number, totalBytes: number): ContentRange | null {
  if (count === 0) throw rangeNotSatisfiable(totalBytes);
  // Satisfiable by the letter, yet no Content-Range can say "nothing of nothing": the (empty) whole.
  if (totalBytes === 0) return null;
  return { start: Math.max(0, totalBytes - count), end: totalBytes - 1 };
}

function rangeNotSatisfiable(totalBytes: number): InvalidInput {
  return new InvalidInput(`The range starts past the end: there are ${totalBytes} bytes.`, {
    code: 'range_not_satisfiable',
    param: 'range',
  });
}
