/** Cuts a file's lines into chunks: neighbours, up to a number of lines, and of bytes read and answered. */
import type { PlannedChunk } from '#database';
import type { Line } from '#domain';

export interface CutLimits {
  readonly maxLines: number;
  readonly maxBytes: number;
  readonly maxAnswerBytes: number;
}

export class ChunkCutter {
  /** Chunks cut so far. */
  count = 0;
  private done: PlannedChunk[] = [];
  private open: { firstLine: number; lines: number; byteStart: number; byteLength: number } | null = null;
  private openAnswerBytes = 0;

  constructor(private readonly limits: CutLimits) {}

  /** Chunks cut and not taken yet. */
  get readyCount(): number {
    return this.done.length;
  }

  /** A line beyond a limit on its own makes a chunk of its own. @param answerBytes as estimated. */
  add(line: Line, answerBytes: number): void {
    if (this.open && !this.fits(line, answerBytes)) this.cut();
    this.open ??= { firstLine: line.number, lines: 0, byteStart: line.start, byteLength: 0 };
    this.open.lines++;
    // Blank lines in between belong to the range that is read, not to its count.
    this.open.byteLength = line.start + line.length - this.open.byteStart;
    this.openAnswerBytes += answerBytes;
  }

  take(): PlannedChunk[] {
    const chunks = this.done;
    this.done = [];
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
    this.done.push({ index: this.count++, ...this.open! });
    this.open = null;
    this.openAnswerBytes = 0;
  }
}
