/**
 * Bytes into lines, with a cap: `readline` would buffer a line of any length. Lines end at LF; a CR before it
 * belongs to the end. Blank lines are passed over but counted, so that numbers are those an editor shows.
 */

export interface Line {
  /** From 1. */
  readonly number: number;
  /** First byte of the line in the file. */
  readonly start: number;
  /** Bytes of the line with its end, so that `start + length` is where the next one begins. */
  readonly length: number;
  /** The line without its end; null where it is longer than the cap. Valid until the next line is asked for. */
  readonly bytes: Buffer | null;
}

export interface SplitOptions {
  /** Longest line in bytes. */
  readonly maxBytes: number;
  /** Number of the first line, and its offset in the file, where the source starts in the middle of one. */
  readonly firstLine?: number;
  readonly start?: number;
}

const LF = 10;
const CR = 13;

const isBlankByte = (byte: number) => byte === 0x20 || byte === CR || byte === 0x09;

/** @returns where the text of a line ends that goes from `from` to before `next`. */
function textEnd(bytes: Buffer, from: number, next: number): number {
  let end = next;
  if (end > from && bytes[end - 1] === LF) end--;
  if (end > from && bytes[end - 1] === CR) end--;
  return end;
}

function isBlank(bytes: Buffer, from = 0, end = bytes.length): boolean {
  for (let at = from; at < end; at++) if (!isBlankByte(bytes[at]!)) return false;
  return true;
}

/** @returns the line in `bytes` that goes from `from` to before `next`; null where it is blank. */
function lineIn(
  bytes: Buffer,
  from: number,
  next: number,
  { number, start, maxBytes }: { number: number; start: number; maxBytes: number },
): Line | null {
  const end = textEnd(bytes, from, next);
  if (isBlank(bytes, from, end)) return null;
  return {
    number,
    start,
    length: next - from,
    bytes: end - from > maxBytes ? null : bytes.subarray(from, end),
  };
}

/** Splits a whole range that is in memory: the worker's way, one buffer a chunk. */
export function* splitBufferLines(range: Buffer, options: SplitOptions): Generator<Line> {
  const { maxBytes, firstLine = 1, start = 0 } = options;
  const place = { number: firstLine, start, maxBytes };
  for (let from = 0; from < range.length; place.number++) {
    const end = range.indexOf(LF, from);
    const next = end === -1 ? range.length : end + 1;
    place.start = start + from;
    const line = lineIn(range, from, next, place);
    if (line) yield line;
    from = next;
  }
}

/** Splits a stream of any length: the plan's way. Holds one line and one read at most. */
export async function* splitLines(
  source: AsyncIterable<Uint8Array>,
  options: SplitOptions,
): AsyncGenerator<Line[]> {
  const { maxBytes, firstLine = 1, start = 0 } = options;
  const place = { number: firstLine, start, maxBytes };
  const held = new HeldLine(maxBytes);
  const lines: Line[] = [];
  const end = (line: Line | null, length: number) => {
    if (line) lines.push(line);
    place.number++;
    place.start += length;
  };
  for await (const piece of source) {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      const next = at + 1;
      if (held.bytes === 0) end(lineIn(chunk, from, next, place), next - from);
      else end(...held.end(chunk.subarray(from, next), place));
      from = next;
    }
    if (from < chunk.length) held.add(chunk.subarray(from));
    if (lines.length > 0) yield lines.splice(0);
  }
  if (held.bytes > 0) end(...held.end(Buffer.alloc(0), place));
  if (lines.length > 0) yield lines;
}

/** The beginning of a line whose end has not been read yet; dropped, but counted, once past the cap. */
class HeldLine {
  bytes = 0;
  private pieces: Buffer[] = [];
  private blank = true;
  private readonly most: number;

  constructor(maxBytes: number) {
    this.most = maxBytes + 2; // for the line's end
  }

  add(piece: Buffer): void {
    this.bytes += piece.length;
    this.blank &&= isBlank(piece);
    if (this.bytes <= this.most) this.pieces.push(Buffer.from(piece));
    else this.pieces = [];
  }

  /** @param rest of the line, with its end. @returns the line, if it is one, and its length; nothing is held then. */
  end(rest: Buffer, place: Parameters<typeof lineIn>[3]): [line: Line | null, length: number] {
    const length = this.bytes + rest.length;
    const isWhole = length <= this.most;
    const blank = this.blank && isBlank(rest, 0, textEnd(rest, 0, rest.length));
    const whole = isWhole ? Buffer.concat([...this.pieces, rest]) : null;
    this.bytes = 0;
    this.pieces = [];
    this.blank = true;
    if (whole) return [lineIn(whole, 0, length, place), length];
    return [blank ? null : { number: place.number, start: place.start, length, bytes: null }, length];
  }
}
