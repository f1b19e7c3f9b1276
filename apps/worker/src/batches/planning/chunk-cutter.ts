/** Cuts a file into chunks of consecutive lines, up to a number of lines, of input bytes and of estimated answer bytes. */
import type { PlannedChunk } from '#database';
import type { Line } from '#domain';

export interface CutLimits {
  readonly maxLines: number;
  readonly maxBytes: number;
  readonly maxAnswerBytes: number;
}

export class ChunkCutter {
  /** Number of chunks cut so far. */
  count = 0;
  private ready: PlannedChunk[] = [];
  private open: { firstLine: number; lines: number; byteStart: number; byteLength: number } | null = null;
  private openAnswerBytes = 0;

  constructor(private readonly limits: CutLimits) {}

  /** Number of chunks that are cut and not taken yet. */
  get readyCount(): number {
    return this.ready.length;
  }

  /** Adds a line. A line that exceeds a limit alone gets its own chunk. @param answerBytes estimated size of its answer */
  add(line: Line, answerBytes: number): void {
    if (this.open && !this.fits(line, answerBytes)) this.cut();
    this.open ??= { firstLine: line.number, lines: 0, byteStart: line.start, byteLength: 0 };
    this.open.lines++;
    // Blank lines between two lines are part of the byte range, but are not counted.
    this.open.byteLength = line.start + line.length - this.open.byteStart;
    this.openAnswerBytes += answerBytes;
  }

  take(): PlannedChunk[] {
    const chunks = this.ready;
    this.ready = [];
    return chunks;
  }

  end(): PlannedChunk[] {
    if (this.open) this.cut();
    return this.take();
  }

  private fits(line: Line, answerBytes: number): boolean {
    const { maxLines, maxBytes, maxAnswerBytes } = this.limits;
    return (
      this.open!.lines < maxLines &&
      line.start + line.length - this.open!.byteStart <= maxBytes &&
      this.openAnswerBytes + answerBytes <= maxAnswerBytes
    );
  }

  private cut(): void {
    this.ready.push({ index: this.count++, ...this.open! });
    this.open = null;
    this.openAnswerBytes = 0;
  }
}
