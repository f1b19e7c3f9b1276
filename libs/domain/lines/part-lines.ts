/**
 * The lines of a file that comes in parts. A part is cut anywhere and arrives in any order, so what it counts alone
 * says nothing of the line it begins and ends within; kept beside its sums are just enough of both ends that the
 * sums of all parts, put in order, are exactly those of the whole, without a byte being read again.
 */
import { isBlankByte, LF, LineCounter, byteOrderMarkBytes } from './count-lines.ts';

export interface PartLines {
  readonly bytes: number;
  /** Line ends in it. Where there are none, all of it is its head. */
  readonly breaks: number;
  /** Lines that begin and end in it, and hold more than white space. */
  readonly lines: number;
  /** The first bytes, three at most, of what comes before the first line end: a byte order mark may be cut in two. */
  readonly head: Uint8Array;
  /** Bytes of the head up to its last that is not white space; 4 where it is the fourth or a later one. */
  readonly headText: number;
  /** Whether what comes after the last line end holds more than white space. */
  readonly tailFilled: boolean;
  /** Bytes up to the first line that begins in it; 0 where none does. */
  readonly firstStart: number;
  /** Where lines begin, counted from that one. */
  readonly entries: Buffer;
}

/** Bytes of a head that are told apart: a mark's, and one that is none of it. */
const told = byteOrderMarkBytes.length + 1;

/** Counts one part while its bytes pass through. */
export class PartLineCounter {
  private readonly head: number[] = [];
  private headBytes = 0;
  private headText = 0;
  /** What follows the first line end: a mark there is text. */
  private rest: LineCounter | null = null;

  get bytes(): number {
    return this.rest?.bytes ?? this.headBytes;
  }

  /** @param chunk the next bytes of the part. */
  add(chunk: Uint8Array): void {
    if (this.rest) return this.rest.add(chunk);
    const end = chunk.indexOf(LF);
    this.takeHead(end === -1 ? chunk : chunk.subarray(0, end));
    if (end === -1) return;
    this.rest = new LineCounter(this.headBytes + 1);
    this.rest.add(chunk.subarray(end + 1));
  }

  end(): PartLines {
    const { bytes, headText, rest } = this;
    return {
      bytes,
      breaks: rest ? rest.lineEnds + 1 : 0,
      lines: rest?.lines ?? 0,
      head: Buffer.from(this.head),
      headText,
      tailFilled: rest?.hasText ?? false,
      firstStart: rest ? this.headBytes + 1 : 0,
      entries: rest?.encodeIndex() ?? Buffer.alloc(0),
    };
  }

  private takeHead(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && this.headText < told; at++) {
      const offset = this.headBytes + at;
      if (offset < byteOrderMarkBytes.length) this.head.push(bytes[at]!);
      if (!isBlankByte(bytes[at]!)) this.headText = Math.min(told, offset + 1);
    }
    this.headBytes += bytes.length;
  }
}

/** A part in its place. */
export interface NumberedPart {
  /** Lines that end in it, the file's last one included. */
  readonly lines: number;
  /** The first line that begins in it, counted from 0 in the file; null where none does. */
  readonly firstLine: number | null;
}

/** @param parts in the order of the file. @returns the same, with the numbers that only the order gives them. */
export function numberPartLines(parts: readonly Omit<PartLines, 'entries'>[]): NumberedPart[] {
  let bytes = 0;
  let breaks = 0;
  let marked = 0;
  let filled = false;
  return parts.map((part, at) => {
    let skip = 0;
    for (
      ;
      marked < byteOrderMarkBytes.length &&
      marked === bytes + skip &&
      part.head[skip] === byteOrderMarkBytes[marked];
      skip++
    )
      marked++;
    filled ||= part.headText > skip;
    const firstLine = part.breaks > 0 ? breaks + 1 : null;
    let lines = part.lines;
    if (part.breaks > 0) {
      if (filled) lines++;
      filled = part.tailFilled;
    }
    if (filled && at === parts.length - 1) lines++;
    bytes += part.bytes;
    breaks += part.breaks;
    return { lines, firstLine };
  });
}
