/** What a batch asks of every one of its lines: well-formed, of this endpoint, of one model, under an id of its own. */
import type { BatchError, BatchErrorCode, BatchLine } from '@millrace/contracts';
import { Failure } from '../errors.ts';
import { findNearestLine, type LineIndex } from '../lines/line-index.ts';
import { parseLine } from '../lines/parse-line.ts';
import { SeenIds } from '../lines/seen-ids.ts';
import { splitLines, type Line } from '../lines/split-lines.ts';

/** Errors that are listed; a file with more is wrong in a way that more lines would not explain better. */
const maxErrors = 100;

/** A stored file, as its check reads it. */
export interface InputFile {
  readonly lines: number;
  readonly lineIndex: LineIndex;
  /** Its first bytes, four if it has them. */
  head(): Promise<Uint8Array>;
  /** All of its bytes from this offset on. */
  read(start: number): AsyncIterable<Uint8Array>;
}

export interface LineRoute {
  readonly provider: string;
  readonly pool: string;
}

export interface LineRules {
  readonly endpoint: string;
  readonly lineMaxBytes: number;
  /** @throws Failure for a model that nothing serves. */
  route(model: string): LineRoute;
}

export class LineChecker {
  readonly errors: BatchError[] = [];
  /** Lines that were good. */
  acceptedLines = 0;
  private readonly ids = new SeenIds();
  private model: string | null = null;
  private routed: LineRoute | null = null;

  constructor(
    private readonly rules: LineRules,
    private readonly file: InputFile,
  ) {}

  get isFull(): boolean {
    return this.errors.length >= maxErrors;
  }

  /**
   * @returns the line's request where it is good; otherwise `errors` says why. A promise only where an earlier line
   * must be read again: one a line would take as long as all the rest.
   */
  check(line: Line): BatchLine | null | Promise<BatchLine | null> {
    const parsed = parseLine(line.bytes, this.rules.lineMaxBytes);
    if (!parsed.line)
      return this.refuse(line, parsed.problem.code, parsed.problem.message, parsed.problem.param);
    if (!this.fits(line, parsed.line)) return null;
    const suspects = this.ids.add(parsed.line.custom_id, line.number);
    return suspects.length > 0 ? this.compare(line, parsed.line, suspects) : this.accept(parsed.line);
  }

  /** To be called when every line was good. */
  getAccepted() {
    return { model: this.model!, ...this.routed!, total: this.acceptedLines };
  }

  private accept(request: BatchLine): BatchLine {
    this.acceptedLines++;
    return request;
  }

  private async compare(
    line: Line,
    request: BatchLine,
    suspects: readonly number[],
  ): Promise<BatchLine | null> {
    for (const suspect of suspects) {
      if ((await this.idOnLine(suspect)) !== request.custom_id) continue;
      const message = `This custom_id stands on line ${suspect} already; every line needs its own.`;
      return this.refuse(line, 'duplicate_custom_id', message, 'custom_id');
    }
    return this.accept(request);
  }

  private fits(line: Line, { url, body }: BatchLine): true | null {
    const { endpoint } = this.rules;
    if (url !== endpoint) {
      return this.refuse(
        line,
        'url_mismatch',
        `The url of this line is not the batch's endpoint, ${endpoint}.`,
        'url',
      );
    }
    if (this.model === null) {
      this.model = body.model;
      const routed = this.routeOf(body.model);
      if (routed instanceof Failure)
        return this.refuse(line, 'model_not_found', routed.message, 'body.model');
      this.routed = routed;
    }
    if (body.model !== this.model) {
      const message = 'This line names another model than the lines before it; a batch has one.';
      return this.refuse(line, 'model_mismatch', message, 'body.model');
    }
    return true;
  }

  private refuse(line: Line, code: BatchErrorCode, message: string, param: string | null): null {
    this.errors.push({ code, message, line: line.number, param });
    return null;
  }

  private routeOf(model: string): LineRoute | Failure {
    try {
      return this.rules.route(model);
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }

  /** Reads an earlier line again. */
  private async idOnLine(number: number): Promise<string | null> {
    const from = findNearestLine(this.file.lineIndex, number - 1);
    const { lineMaxBytes: maxBytes } = this.rules;
    const options = { maxBytes, firstLine: from.line + 1, start: from.offset };
    for await (const lines of splitLines(this.file.read(from.offset), options)) {
      const found = lines.find((line) => line.number >= number);
      if (found) return parseLine(withoutMark(found), maxBytes).line?.custom_id ?? null;
    }
    return null;
  }
}

/** The file's first line may carry a byte order mark. */
function withoutMark({ bytes, start }: Line): Buffer | null {
  return bytes && start === 0 && bytes[0] === 0xef ? bytes.subarray(3) : bytes;
}
