/** Counts the lines of an upload and records where they start, while the bytes stream through unchanged. */
import { LineIndexBuilder } from './line-index.ts';

export const LF = 10;

/** JSON white space. A line with nothing else is blank and is not counted. */
export const isBlankByte = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** UTF-8 byte order mark. It does not count as text: a file with nothing else is empty. */
export const byteOrderMarkBytes = [0xef, 0xbb, 0xbf];

export class LineCounter {
  /** Bytes counted, plus the `start` offset. */
  bytes: number;
  /** Complete lines that contain more than white space. */
  lines = 0;
  /** Line ends, including those of blank lines. */
  lineEnds = 0;
  /** Whether the current, incomplete line contains more than white space. */
  hasText = false;
  private marked = 0;
  private readonly index: LineIndexBuilder;

  /** @param start offset of the first byte in the file, when counting begins in the middle of one. */
  constructor(start = 0) {
    this.bytes = start;
    this.index = new LineIndexBuilder(start);
  }

  /** @param chunk the next bytes of the file. */
  add(chunk: Uint8Array): void {
    let from = 0;
    while (from < chunk.length) {
      const end = chunk.indexOf(LF, from);
      const stop = end === -1 ? chunk.length : end;
      // Once the line has text, its other bytes need no check.
      for (let at = from; !this.hasText && at < stop; at++)
        this.hasText = this.isText(chunk[at]!, this.bytes + at);
      if (end === -1) break;
      this.endLine();
      from = end + 1;
      this.index.add(this.lineEnds, this.bytes + from);
    }
    this.bytes += chunk.length;
  }

  /** Call once, after the last bytes. @returns the encoded line index, with offsets from `start`. */
  end(): Buffer {
    if (this.hasText) this.endLine();
    return this.encodeIndex();
  }

  /** The encoded index of the lines that have started so far. */
  encodeIndex(): Buffer {
    return this.index.encode();
  }

  private isText(byte: number, offset: number): boolean {
    if (offset < byteOrderMarkBytes.length && offset === this.marked && byte === byteOrderMarkBytes[offset]) {
      this.marked++;
      return false;
    }
    return !isBlankByte(byte);
  }

  private endLine(): void {
    if (this.hasText) this.lines++;
    this.hasText = false;
    this.lineEnds++;
  }
}

/** Passes `source` through and counts it. */
export async function* countLines(
  source: AsyncIterable<Uint8Array>,
  counter: LineCounter,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    counter.add(chunk);
    yield chunk;
  }
}
