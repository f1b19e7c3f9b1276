/** Checks each line of a batch's input: valid JSON, the batch's endpoint, one model for all, a unique custom_id. */
import type { BatchError, BatchErrorCode, BatchLine } from '@millrace/contracts';
import { Failure } from '../errors.ts';
import { findNearestLine, type LineIndex } from '../lines/line-index.ts';
import { parseLine } from '../lines/parse-line.ts';
import { SeenIds } from '../lines/seen-ids.ts';
import { splitLines, type Line } from '../lines/split-lines.ts';

/** At most this many errors are listed. More of them would not explain the problem better. */
const maxErrors = 100;

/** A stored input file, as the check reads it. */
export interface InputFile {
  readonly lines: number;
  readonly lineIndex: LineIndex;
  /** The first bytes of the file, at most four. */
  head(): Promise<Uint8Array>;
  /** All bytes from this offset on. */
  read(start: number): AsyncIterable<Uint8Array>;
}

export interface LineRoute {
  readonly provider: string;
  readonly pool: string;
}

export interface LineRules {
  readonly endpoint: string;
  readonly lineMaxBytes: number;
  /** @throws Failure when no provider serves the model. */
  route(model: string): LineRoute;
}

export class LineChecker {
  readonly errors: BatchError[] = [];
  acceptedLines = 0;
  private readonly ids = new SeenIds();
  private model: string | null = null;
  private lineRoute: LineRoute | null = null;

  constructor(
    private readonly rules: LineRules,
    private readonly file: InputFile,
  ) {}

  get isFull(): boolean {
    return this.errors.length >= maxErrors;
  }

  /**
   * @returns the line's request, or null when the line is invalid; `errors` then has the reason. Returns a promise only
   * when an earlier line must be read again to compare ids: a promise per line would double the time of the check.
   */
  check(line: Line): BatchLine | null | Promise<BatchLine | null> {
    const parsed = parseLine(line.bytes, this.rules.lineMaxBytes);
    if (!parsed.line) {
      const { code, message, param } = parsed.problem;
      return this.addError(line, code, message, param);
    }
    if (!this.matchesBatch(line, parsed.line)) return null;
    const suspects = this.ids.add(parsed.line.custom_id, line.number);
    return suspects.length > 0 ? this.checkDuplicates(line, parsed.line, suspects) : this.accept(parsed.line);
  }

  /** Call only when every line was valid. */
  getAccepted() {
    return { model: this.model!, ...this.lineRoute!, total: this.acceptedLines };
  }

  private accept(request: BatchLine): BatchLine {
    this.acceptedLines++;
    return request;
  }

  private async checkDuplicates(
    line: Line,
    request: BatchLine,
    suspects: readonly number[],
  ): Promise<BatchLine | null> {
    for (const suspect of suspects) {
      if ((await this.readCustomId(suspect)) !== request.custom_id) continue;
      const message = `This custom_id is already used on line ${suspect}. Each line needs its own custom_id.`;
      return this.addError(line, 'duplicate_custom_id', message, 'custom_id');
    }
    return this.accept(request);
  }

  private matchesBatch(line: Line, { url, body }: BatchLine): boolean {
    const { endpoint } = this.rules;
    if (url !== endpoint) {
      const message = `The url of this line is not the batch's endpoint, ${endpoint}.`;
      this.addError(line, 'url_mismatch', message, 'url');
      return false;
    }
    if (this.model === null) {
      this.model = body.model;
      const route = this.findRoute(body.model);
      if (route instanceof Failure) {
        this.addError(line, 'model_not_found', route.message, 'body.model');
        return false;
      }
      this.lineRoute = route;
    }
    if (body.model !== this.model) {
      const message = 'The model of this line differs from the lines before it. A batch has one model.';
      this.addError(line, 'model_mismatch', message, 'body.model');
      return false;
    }
    return true;
  }

  private addError(line: Line, code: BatchErrorCode, message: string, param: string | null): null {
    this.errors.push({ code, message, line: line.number, param });
    return null;
  }

  private findRoute(model: string): LineRoute | Failure {
    try {
      return this.rules.route(model);
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }

  /** Reads the custom_id of an earlier line from the stored file. */
  private async readCustomId(number: number): Promise<string | null> {
    const from = findNearestLine(this.file.lineIndex, number - 1);
    const { lineMaxBytes: maxBytes } = this.rules;
    const options = { maxBytes, firstLine: from.line + 1, start: from.offset };
    for await (const lines of splitLines(this.file.read(from.offset), options)) {
      const found = lines.find((line) => line.number >= number);
      if (found) return parseLine(removeByteOrderMark(found), maxBytes).line?.custom_id ?? null;
    }
    return null;
  }
}

/** The first line of the file may start with a byte order mark. */
function removeByteOrderMark({ bytes, start }: Line): Buffer | null {
  return bytes && start === 0 && bytes[0] === 0xef ? bytes.subarray(3) : bytes;
}
