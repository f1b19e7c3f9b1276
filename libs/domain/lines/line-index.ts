/**
 * Where a file's lines begin: made while an upload flows, kept beside its segment, and used to read one line
 * again without reading those before it. One entry for every `stride` lines, so that ten million lines take
 * some tens of kilobytes.
 */

/** Lines between two entries. */
const stride = 1_024;

/** Bytes that the longest number takes: 2^53 in sevens of bits. */
const longest = 8;

export class LineIndexBuilder {
  private bytes = Buffer.alloc(64);
  private used = 0;

  /** @param last where line 0 begins, in bytes. */
  constructor(private last = 0) {}

  /** To be called for each line, in order. @param line from 0. @param offset in bytes from the file's start. */
  add(line: number, offset: number): void {
    if (line === 0 || line % stride !== 0) return;
    this.write(offset - this.last);
    this.last = offset;
  }

  encode(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.used));
  }

  /** A number as LEB128, seven bits a byte, lowest first (DWARF 4, section 7.6). */
  private write(value: number): void {
    // Bytes, not an array of numbers: ten gigabytes of newlines make twenty million of them.
    if (this.used + longest > this.bytes.length)
      this.bytes = Buffer.concat([this.bytes], this.bytes.length * 2);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.bytes[this.used++] = (rest % 128) + 128;
    this.bytes[this.used++] = rest;
  }
}

/** Lines of a file one after the other, of which every so many have an entry. */
export interface LineIndexPart {
  /** The first of them, counted from 0 in the file, and where it begins. */
  readonly line: number;
  readonly offset: number;
  readonly entries: Uint8Array;
}

/** One run for a file that came as a whole, one for each of its parts else; in the order of the file. */
export type LineIndex = readonly LineIndexPart[];

/** @returns a known beginning at or before `line` (from 0): its number and byte offset. */
export function findNearestLine(index: LineIndex, line: number): { line: number; offset: number } {
  const run = index.findLast((each) => each.line <= line);
  if (!run) return { line: 0, offset: 0 };
  const { entries } = run;
  let { offset } = run;
  let at = 0;
  let known = 0;
  const wanted = Math.floor((line - run.line) / stride);
  while (known < wanted && at < entries.length) {
    let delta = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = entries[at++]!;
      delta += (byte & 127) * scale;
      if (!(byte >= 128)) break; // Also at the end of an index that was cut short.
    }
    offset += delta;
    known++;
  }
  return { line: run.line + known * stride, offset };
}
