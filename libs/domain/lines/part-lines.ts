/**
 * Counts the lines of a file that is uploaded in parts. Parts are cut anywhere and arrive in any order, so a part
 * alone can't tell whether its first and last line are complete. Each part's counts therefore include a little of its
 * start and end, enough to compute the exact counts of the whole file once the order is known, without reading again.
 */
import { byteOrderMarkBytes, isBlankByte, LF, LineCounter } from './count-lines.ts';

export interface PartLines {
  readonly bytes: number;
  /** Number of line ends. When it is 0, the whole part is its head. */
  readonly breaks: number;
  /** Lines that start and end in this part and contain more than white space. */
  readonly lines: number;
  /** First bytes, at most three, before the first line end: a byte order mark may be cut across two parts. */
  readonly head: Uint8Array;
  /** Position, from 1, of the last byte of text in the head: 4 for the fourth byte or a later one, 0 for no text. */
  readonly headText: number;
  /** Whether the bytes after the last line end contain more than white space. */
  readonly tailFilled: boolean;
  /** Offset of the first line that starts in this part. 0 when none does. */
  readonly firstStart: number;
  /** Encoded line index, with offsets from `firstStart`. */
  readonly entries: Buffer;
}

/** Positions in a head that are distinguished: those of a byte order mark, and any later one. */
const maxHeadText = byteOrderMarkBytes.length + 1;

/** Counts one part while its bytes stream through. */
export class PartLineCounter {
  private readonly head: number[] = [];
  private headBytes = 0;
  private headText = 0;
  /** Counts what follows the first line end. A byte order mark there is text. */
  private rest: LineCounter | null = null;

  get bytes(): number {
    return this.rest?.bytes ?? this.headBytes;
  }

  /** @param chunk the next bytes of the part. */
  add(chunk: Uint8Array): void {
    if (this.rest) return this.rest.add(chunk);
    const end = chunk.indexOf(LF);
    this.addHead(end === -1 ? chunk : chunk.subarray(0, end));
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

  private addHead(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && this.headText < maxHeadText; at++) {
      const offset = this.headBytes + at;
      if (offset < byteOrderMarkBytes.length) this.head.push(bytes[at]!);
      if (!isBlankByte(bytes[at]!)) this.headText = Math.min(maxHeadText, offset + 1);
    }
    this.headBytes += bytes.length;
  }
}

/** The counts of a part once its position in the file is known. */
export interface NumberedPart {
  /** Lines that end in this part. The last part includes the last line of the file. */
  readonly lines: number;
  /** Number of the first line that starts in this part, from 0 in the file. null when none does. */
  readonly firstLine: number | null;
}

/** @param parts in file order. @returns the counts of each part, in the same order. */
export function numberPartLines(parts: readonly Omit<PartLines, 'entries'>[]): NumberedPart[] {
  let bytes = 0;
  let lineEnds = 0;
  let marked = 0;
  let hasText = false;
  return parts.map((part, at) => {
    let skip = 0;
    while (
      marked < byteOrderMarkBytes.length &&
      marked === bytes + skip &&
      part.head[skip] === byteOrderMarkBytes[marked]
    ) {
      skip++;
      marked++;
    }
    hasText ||= part.headText > skip;
    const firstLine = part.breaks > 0 ? lineEnds + 1 : null;
    let lines = part.lines;
    if (part.breaks > 0) {
      if (hasText) lines++;
      hasText = part.tailFilled;
    }
    if (hasText && at === parts.length - 1) lines++;
    bytes += part.bytes;
    lineEnds += part.breaks;
    return { lines, firstLine };
  });
}
