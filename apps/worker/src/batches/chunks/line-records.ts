/**
 * The records of a chunk's lines while it runs: successes for the output file, all else for the error file,
 * and the sums that its commit adds to the batch.
 */
import type { NotRunCode, WireError } from '@millrace/contracts';
import type { Answer, Usage } from '#catalogue';
import { UsageMeter } from '../../inference/usage-meter.ts';

/** Upper bounds in ms of the histogram of provider calls; a last bucket takes the rest. */
const bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/**
 * Buffers of chunks that are stored, for the next ones. Made anew, each chunk of 5 MB leaves 16 MB outside of V8's heap,
 * to which its collector comes late.
 */
const spares: Buffer[] = [];
const mostSpares = 4;
const smallest = 1 << 18;
const largest = 1 << 24;
const none = Buffer.alloc(0);

/** UTF-8 gathered in one buffer that doubles, from short runs of text: neither a long string nor one a line. */
class JsonLines {
  private bytes: Buffer = none;
  private used = 0;
  private text = '';

  /** @param line with its end. */
  add(line: string): void {
    this.text += line;
    if (this.text.length > 16_384) this.flush();
  }

  /** Valid until `release`. */
  take(): Buffer {
    this.flush();
    return this.bytes.subarray(0, this.used);
  }

  release(): void {
    if (this.bytes.length >= smallest && this.bytes.length <= largest && spares.length < mostSpares) {
      spares.push(this.bytes);
    }
    this.bytes = none;
    this.used = 0;
  }

  private flush(): void {
    if (this.text === '') return;
    // A UTF-16 unit takes three bytes at most.
    const needed = this.used + this.text.length * 3;
    if (needed > this.bytes.length) this.grow(needed);
    this.used += this.bytes.write(this.text, this.used);
    this.text = '';
  }

  private grow(needed: number): void {
    const spare = this.used === 0 ? spares.pop() : undefined;
    const fits = spare !== undefined && spare.length >= needed;
    const larger = fits ? spare : Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2, smallest));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }
}

/** A line that was answered, well or not, with all that its chunk's commit needs to know of it. */
export interface FinishedLine extends Usage {
  readonly line: number;
  /** Whether it goes to the output file. */
  readonly ok: boolean;
  /** With its end. */
  readonly record: string;
}

export class LineRecords {
  private readonly output = new JsonLines();
  private readonly errors = new JsonLines();
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

  /** @param onFinished is told of each line that was answered, where somebody has to know at once. */
  constructor(
    batchId: string,
    private readonly onFinished: ((finished: FinishedLine) => void) | null = null,
  ) {
    this.suffix = batchId.slice(batchId.indexOf('_') + 1);
  }

  /** What was recorded, until `release`; a call that is answered after this changes nothing any more. */
  close() {
    this.isClosed = true;
    const { meter } = this;
    const { inputTokens, outputTokens } = meter;
    const sums = { ...this.sums, inputTokens, outputTokens };
    return { output: this.output.take(), errors: this.errors.take(), sums, meter };
  }

  /** When what `close` gave out is stored, or never will be. */
  release(): void {
    this.output.release();
    this.errors.release();
  }

  addSuccess(line: number, customId: string, answer: Answer): void {
    if (!this.isFirst(line)) return;
    const record = this.responseLine(line, customId, 200, answer.json);
    this.output.add(record);
    this.sums.completed++;
    this.meter.add(answer.usage);
    this.onFinished?.({ line, ok: true, ...answer.usage, record });
  }

  addFailure(line: number, customId: string, status: number, error: WireError): void {
    if (!this.isFirst(line)) return;
    const record = this.responseLine(line, customId, status, JSON.stringify({ error }));
    this.errors.add(record);
    this.countFailed(error.code);
    this.onFinished?.({ line, ok: false, inputTokens: 0, outputTokens: 0, record });
  }

  addNotRun(line: number, customId: string, code: NotRunCode, message: string): void {
    if (!this.isFirst(line)) return;
    this.errors.add(
      `{"id":"${this.id(line)}","custom_id":${JSON.stringify(customId)},"response":null,` +
        `"error":${JSON.stringify({ code, message })}}\n`,
    );
    if (code === 'batch_cancelled') this.sums.canceled++;
    else if (code === 'batch_expired') this.sums.expired++;
    else this.countFailed(code);
  }

  /** Takes a line over as another attempt has finished it. @returns false where it has its record already. */
  restore({ line, ok, record, ...usage }: FinishedLine): boolean {
    if (!this.isFirst(line)) return false;
    this.hasRestored = true;
    (ok ? this.output : this.errors).add(record);
    if (ok) {
      this.sums.completed++;
      this.meter.add(usage);
    } else this.countFailed(codeOf(record));
    return true;
  }

  /** Whether another attempt has finished this line. */
  isRestored(line: number): boolean {
    return this.hasRestored && this.recorded.has(line);
  }

  /** A line has one record: a cancel and the answer to a call in flight may both want to write it. */
  private isFirst(line: number): boolean {
    if (this.isClosed || this.recorded.has(line)) return false;
    this.recorded.add(line);
    return true;
  }

  private countFailed(code: string | null): void {
    this.sums.failed++;
    // Some are a provider's own words.
    const name = code !== null && /^[\w.-]{1,64}$/.test(code) ? code : 'other';
    this.sums.errorCodes[name] = (this.sums.errorCodes[name] ?? 0) + 1;
  }

  /** Notes how long one provider call took, in ms. */
  observeCall(ms: number): void {
    this.sums.providerMs += ms;
    const bucket = String(bounds.find((bound) => ms <= bound) ?? 'inf');
    this.sums.latencyHistogram[bucket] = (this.sums.latencyHistogram[bucket] ?? 0) + 1;
  }

  /** Says the same on every try: an id is the batch's and the line's number. */
  private id(line: number): string {
    return `batch_req_${this.suffix}_${line}`;
  }

  private responseLine(line: number, customId: string, status: number, body: string): string {
    return (
      `{"id":"${this.id(line)}","custom_id":${JSON.stringify(customId)},"response":{"status_code":${status},` +
      `"request_id":"req_${this.suffix}_${line}","body":${body}},"error":null}\n`
    );
  }
}

/** The code of a line that failed, from its record. */
function codeOf(record: string): string | null {
  const { response } = JSON.parse(record) as { response: { body: { error: WireError } } };
  return response.body.error.code;
}
