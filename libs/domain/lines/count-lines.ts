/** Counts an upload's lines and notes where they begin, while its bytes pass through untouched. */
import { LineIndexBuilder } from './line-index.ts';

export const LF = 10;

/** JSON's white space: a line of nothing else is blank and counts for nothing. */
export const isBlankByte = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** A UTF-8 byte order mark is no text: a file of nothing else is empty. */
export const byteOrderMarkBytes = [0xef, 0xbb, 0xbf];

export class LineCounter {
  /** Bytes seen, those before it included. */
  bytes: number;
  /** Lines that hold more than white space and have ended. */
  lines = 0;
  /** Ends of lines, blank ones included. */
  lineEnds = 0;
  /** Whether the line that has not ended yet holds more than white space. */
  hasText = false;
  private marked = 0;
  private readonly index: LineIndexBuilder;

  /** @param start bytes that lie before the first line counted: none, unless it counts the middle of a file. */
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
      // Once a line is known to be filled its other bytes need no look.
      for (let at = from; !this.hasText && at < stop; at++)
        this.hasText = this.fills(chunk[at]!, this.bytes + at);
      if (end === -1) break;
      this.endLine();
      from = end + 1;
      this.index.add(this.lineEnds, this.bytes + from);
    }
    this.bytes += chunk.length;
  }

  /** To be called once, after the last bytes. @returns where lines begin, counted from `start`. */
  end(): Buffer {
    if (this.hasText) this.endLine();
    return this.encodeIndex();
  }

  /** Where the lines begin that have begun. */
  encodeIndex(): Buffer {
    return this.index.encode();
  }

  private fills(byte: number, offset: number): boolean {
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

/** Passes `source` on, counted. */
export async function* countLines(
  source: AsyncIterable<Uint8Array>,
  counter: LineCounter,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    counter.add(chunk);
    yield chunk;
  }
}
