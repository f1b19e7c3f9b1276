/**
 * Splits bytes into lines, with a maximum line length: `readline` would buffer a line of any length. Lines end at LF,
 * and a CR before it belongs to the line end. Blank lines are skipped but numbered, so that line numbers match those
 * of an editor.
 */

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Offset of the line's first byte in the file. */
  readonly start: number;
  /** Bytes of the line including its end: the next line starts at `start + length`. */
  readonly length: number;
  /** The line without its end, or null when it is longer than the maximum. Valid until the next line is read. */
  readonly bytes: Buffer | null;
}

export interface SplitOptions {
  /** Maximum line length in bytes. */
  readonly maxBytes: number;
  /** Number and offset of the first line, when the source starts in the middle of a file. @default 1, 0 */
  readonly firstLine?: number;
  readonly start?: number;
}

const LF = 10;
const CR = 13;

const isBlankByte = (byte: number) => byte === 0x20 || byte === CR || byte === 0x09;

/** @returns the end of the text of the line in `[from, next)`, without its line end. */
function findTextEnd(bytes: Buffer, from: number, next: number): number {
  let end = next;
  if (end > from && bytes[end - 1] === LF) end--;
  if (end > from && bytes[end - 1] === CR) end--;
  return end;
}

function isBlank(bytes: Buffer, from = 0, end = bytes.length): boolean {
  for (let at = from; at < end; at++) if (!isBlankByte(bytes[at]!)) return false;
  return true;
}

interface LinePosition {
  number: number;
  start: number;
  readonly maxBytes: number;
}

/** @returns the line in `bytes` at `[from, next)`, or null when it is blank. */
function toLine(
  bytes: Buffer,
  from: number,
  next: number,
  { number, start, maxBytes }: LinePosition,
): Line | null {
  const end = findTextEnd(bytes, from, next);
  if (isBlank(bytes, from, end)) return null;
  return {
    number,
    start,
    length: next - from,
    bytes: end - from > maxBytes ? null : bytes.subarray(from, end),
  };
}

/** Splits a range that is in memory. The worker uses it, with one buffer per chunk. */
export function* splitBufferLines(range: Buffer, options: SplitOptions): Generator<Line> {
  const { maxBytes, firstLine = 1, start = 0 } = options;
  const position: LinePosition = { number: firstLine, start, maxBytes };
  for (let from = 0; from < range.length; position.number++) {
    const end = range.indexOf(LF, from);
    const next = end === -1 ? range.length : end + 1;
    position.start = start + from;
    const line = toLine(range, from, next, position);
    if (line) yield line;
    from = next;
  }
}

/** Splits a stream of any length. The plan uses it. Holds at most one line and one read in memory. */
export async function* splitLines(
  source: AsyncIterable<Uint8Array>,
  options: SplitOptions,
): AsyncGenerator<Line[]> {
  const { maxBytes, firstLine = 1, start = 0 } = options;
  const position: LinePosition = { number: firstLine, start, maxBytes };
  const partial = new PartialLine(maxBytes);
  const lines: Line[] = [];
  const endLine = (line: Line | null, length: number) => {
    if (line) lines.push(line);
    position.number++;
    position.start += length;
  };
  for await (const piece of source) {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      const next = at + 1;
      if (partial.bytes === 0) endLine(toLine(chunk, from, next, position), next - from);
      else endLine(...partial.end(chunk.subarray(from, next), position));
      from = next;
    }
    if (from < chunk.length) partial.add(chunk.subarray(from));
    if (lines.length > 0) yield lines.splice(0);
  }
  if (partial.bytes > 0) endLine(...partial.end(Buffer.alloc(0), position));
  if (lines.length > 0) yield lines;
}

/** The start of a line whose end has not been read yet. Above the maximum length it is counted but not stored. */
class PartialLine {
  bytes = 0;
  private pieces: Buffer[] = [];
  private isBlank = true;
  private readonly maxLength: number;

  constructor(maxBytes: number) {
    this.maxLength = maxBytes + 2; // for CR and LF
  }

  add(piece: Buffer): void {
    this.bytes += piece.length;
    this.isBlank &&= isBlank(piece);
    if (this.bytes <= this.maxLength) this.pieces.push(Buffer.from(piece));
    else this.pieces = [];
  }

  /** @param rest of the line, including its end. @returns the line, or null when it is blank, and its length. */
  end(rest: Buffer, position: LinePosition): [line: Line | null, length: number] {
    const length = this.bytes + rest.length;
    const blank = this.isBlank && isBlank(rest, 0, findTextEnd(rest, 0, rest.length));
    const whole = length <= this.maxLength ? Buffer.concat([...this.pieces, rest]) : null;
    this.bytes = 0;
    this.pieces = [];
    this.isBlank = true;
    if (whole) return [toLine(whole, 0, length, position), length];
    return [blank ? null : { number: position.number, start: position.start, length, bytes: null }, length];
  }
}
