/**
 * An index of where a file's lines start. It is built while an upload streams and stored beside the segment, so that
 * one line can be read again without reading those before it. It has one entry per `stride` lines: ten million lines
 * take some tens of kilobytes.
 */

/** Lines between two entries. */
const stride = 1_024;

/** Bytes of the longest encoded number: 2^53 at seven bits per byte. */
const maxEncodedBytes = 8;

export class LineIndexBuilder {
  private bytes = Buffer.alloc(64);
  private used = 0;

  /** @param last offset of line 0, in bytes. */
  constructor(private last = 0) {}

  /** Call for each line, in order. @param line from 0. @param offset in bytes from the start of the file. */
  add(line: number, offset: number): void {
    if (line === 0 || line % stride !== 0) return;
    this.write(offset - this.last);
    this.last = offset;
  }

  encode(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.used));
  }

  /** Writes a number as LEB128, seven bits per byte, lowest first (DWARF 4, section 7.6). */
  private write(value: number): void {
    // A buffer and not an array of numbers: ten gigabytes of newlines make twenty million entries.
    if (this.used + maxEncodedBytes > this.bytes.length)
      this.bytes = Buffer.concat([this.bytes], this.bytes.length * 2);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.bytes[this.used++] = (rest % 128) + 128;
    this.bytes[this.used++] = rest;
  }
}

/** The index of consecutive lines of a file. */
export interface LineIndexPart {
  /** Number of the first line, from 0 in the file, and its byte offset. */
  readonly line: number;
  readonly offset: number;
  readonly entries: Uint8Array;
}

/** One part for a file uploaded in one request, otherwise one per uploaded part, in file order. */
export type LineIndex = readonly LineIndexPart[];

/** @returns the nearest indexed line at or before `line` (from 0): its number and byte offset. */
export function findNearestLine(index: LineIndex, line: number): { line: number; offset: number } {
  const part = index.findLast((each) => each.line <= line);
  if (!part) return { line: 0, offset: 0 };
  const { entries } = part;
  let { offset } = part;
  let at = 0;
  let entry = 0;
  const targetEntry = Math.floor((line - part.line) / stride);
  while (entry < targetEntry && at < entries.length) {
    let delta = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = entries[at++]!;
      delta += (byte & 127) * scale;
      if (!(byte >= 128)) break; // Also true for undefined, at the end of a truncated index.
    }
    offset += delta;
    entry++;
  }
  return { line: part.line + entry * stride, offset };
}
