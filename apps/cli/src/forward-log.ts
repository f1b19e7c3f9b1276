/** Prints a table row for each forwarded event, with notes between the rows. */
import type { WriteStream } from 'node:tty';

export interface ForwardResult {
  readonly position: number;
  readonly type: string;
  readonly subject: string;
  /** HTTP status, or the reason why there was none. */
  readonly answer: string;
  readonly isSuccess: boolean;
  readonly ms: number;
}

export interface ForwardLog {
  show(result: ForwardResult): void;
  note(text: string): void;
  /** Prints the totals. */
  end(): void;
}

const columns = ['time', 'position', 'event', 'subject', 'answer', 'ms'];
const widths = [8, 9, 32, 40, 14];
const dim = 2;
const red = 31;
const green = 32;

export function createForwardLog(out: Pick<WriteStream, 'write' | 'isTTY'>): ForwardLog {
  const colour = (code: number, text: string) => (out.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text);
  const formatRow = (cells: readonly string[]) =>
    cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' ');
  let succeeded = 0;
  let failed = 0;
  return {
    show({ position, type, subject, answer, isSuccess, ms }) {
      if (succeeded + failed === 0) out.write(`${colour(dim, formatRow(columns))}\n`);
      if (isSuccess) succeeded++;
      else failed++;
      const time = new Date().toTimeString().slice(0, 8);
      const cells = [time, String(position), type, subject, answer, String(Math.round(ms))];
      out.write(`${colour(isSuccess ? green : red, formatRow(cells))}\n`);
    },
    note(text) {
      out.write(`${colour(dim, text)}\n`);
    },
    end() {
      out.write(`${succeeded} succeeded, ${failed} failed.\n`);
    },
  };
}
