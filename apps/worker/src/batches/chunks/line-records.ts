/**
 * The records of a chunk's lines while it runs: successes for the output file, everything else for the error file, and
 * the sums that the commit adds to the batch.
 */
import type { LineErrorCode, WireError } from '@millrace/contracts';
import type { Answer, Usage } from '#catalogue';
import { UsageMeter } from '../../inference/usage-meter.ts';
import { JsonLinesBuffer } from './json-lines-buffer.ts';

/** Upper bounds in ms of the histogram of provider calls. Longer calls go into `inf`. */
const bucketBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/** An answered line, successful or not, with everything that the commit of its chunk needs. */
export interface FinishedLine extends Usage {
  readonly line: number;
  /** Whether the record goes to the output file. */
  readonly ok: boolean;
  /** Including its line end. */
  readonly record: string;
}

export class LineRecords {
  private readonly output = new JsonLinesBuffer();
  private readonly errors = new JsonLinesBuffer();
  private readonly recorded = new Set<number>();
  private readonly sums = {
    completed: 0,
    failed: 0,
    canceled: 0,
    expired: 0,
    providerMs: 0,
    latencyHistogram: {} as Record<string, number>,
    errorCodes: {} as Record<string, number>,
  };
  private readonly meter = new UsageMeter();
  private readonly suffix: string;
  private isClosed = false;
  private hasRestored = false;

  /** @param onFinished called with each answered line, e.g. to checkpoint it. */
  constructor(
    batchId: string,
    private readonly onFinished: ((finished: FinishedLine) => void) | null = null,
  ) {
    this.suffix = batchId.slice(batchId.indexOf('_') + 1);
  }

  /** @returns the records and sums, valid until `release`. Answers that arrive later are ignored. */
  close() {
    this.isClosed = true;
    const { meter } = this;
    const { inputTokens, outputTokens } = meter;
    const sums = { ...this.sums, inputTokens, outputTokens };
    return { output: this.output.take(), errors: this.errors.take(), sums, meter };
  }

  /** Call when the result of `close` is stored, or will not be stored. */
  release(): void {
    this.output.release();
    this.errors.release();
  }

  addSuccess(line: number, customId: string, answer: Answer): void {
    if (!this.reserve(line)) return;
    const record = this.formatResponse(line, customId, 200, answer.json);
    this.output.add(record);
    this.sums.completed++;
    this.meter.add(answer.usage);
    this.onFinished?.({ line, ok: true, ...answer.usage, record });
  }

  addFailure(line: number, customId: string, status: number, error: WireError): void {
    if (!this.reserve(line)) return;
    const record = this.formatResponse(line, customId, status, JSON.stringify({ error }));
    this.errors.add(record);
    this.countFailure(error.code);
    this.onFinished?.({ line, ok: false, inputTokens: 0, outputTokens: 0, record });
  }

  addNotRun(line: number, customId: string, code: LineErrorCode, message: string): void {
    if (!this.reserve(line)) return;
    this.errors.add(
      `{"id":"${this.formatId(line)}","custom_id":${JSON.stringify(customId)},"response":null,` +
        `"error":${JSON.stringify({ code, message })}}\n`,
    );
    if (code === 'batch_cancelled') this.sums.canceled++;
    else if (code === 'batch_expired') this.sums.expired++;
    else this.countFailure(code);
  }

  /** Adds a line as an earlier attempt finished it. @returns false when the line already has a record. */
  restore({ line, ok, record, ...usage }: FinishedLine): boolean {
    if (!this.reserve(line)) return false;
    this.hasRestored = true;
    (ok ? this.output : this.errors).add(record);
    if (ok) {
      this.sums.completed++;
      this.meter.add(usage);
    } else this.countFailure(parseErrorCode(record));
    return true;
  }

  /** Whether an earlier attempt has finished this line. */
  isRestored(line: number): boolean {
    return this.hasRestored && this.recorded.has(line);
  }

  /** Records the duration of one provider call, in ms. */
  observeCall(ms: number): void {
    this.sums.providerMs += ms;
    const bucket = String(bucketBounds.find((bound) => ms <= bound) ?? 'inf');
    this.sums.latencyHistogram[bucket] = (this.sums.latencyHistogram[bucket] ?? 0) + 1;
  }

  /** A line has one record. A cancel and the answer to a call in flight may both try to write it: the first one wins. */
  private reserve(line: number): boolean {
    if (this.isClosed || this.recorded.has(line)) return false;
    this.recorded.add(line);
    return true;
  }

  private countFailure(code: string | null): void {
    this.sums.failed++;
    // Some codes are a provider's own text.
    const name = code !== null && /^[\w.-]{1,64}$/.test(code) ? code : 'other';
    this.sums.errorCodes[name] = (this.sums.errorCodes[name] ?? 0) + 1;
  }

  /** Depends only on the batch and the line number, so it is the same in every attempt. */
  private formatId(line: number): string {
    return `batch_req_${this.suffix}_${line}`;
  }

  private formatResponse(line: number, customId: string, status: number, body: string): string {
    return (
      `{"id":"${this.formatId(line)}","custom_id":${JSON.stringify(customId)},"response":{"status_code":${status},` +
      `"request_id":"req_${this.suffix}_${line}","body":${body}},"error":null}\n`
    );
  }
}

/** @returns the error code in the record of a failed line. */
function parseErrorCode(record: string): string | null {
  const { response } = JSON.parse(record) as { response: { body: { error: WireError } } };
  return response.body.error.code;
}
