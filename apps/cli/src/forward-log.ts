/** A row for each event that was forwarded, with what the local server said; what is to be noted goes between them. */
import type { WriteStream } from 'node:tty';

export interface ForwardResult {
  readonly position: number;
  readonly type: string;
  readonly subject: string;
  /** A status, or why there was none. */
  readonly answer: string;
  readonly isSuccess: boolean;
  readonly ms: number;
}

export interface ForwardLog {
  show(answer: ForwardResult): void;
  note(text: string): void;
  /** Says how many there were. */
  end(): void;
}

const columns = [8, 9, 32, 40, 14];

export function createForwardLog(out: Pick<WriteStream, 'write' | 'isTTY'>): ForwardLog {
  const colour = (code: number, text: string) => (out.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text);
  const row = (cells: readonly string[]) => cells.map((cell, at) => cell.padEnd(columns[at] ?? 0)).join(' ');
  let [good, bad] = [0, 0];
  let hasHead = false;
  return {
    show({ position, type, subject, answer, isSuccess, ms }) {
      if (isSuccess) good++;
      else bad++;
      if (!hasHead) out.write(`${colour(2, row(['time', 'position', 'event', 'about', 'answer', 'ms']))}\n`);
      hasHead = true;
      const time = new Date().toTimeString().slice(0, 8);
      const cells = [time, String(position), type, subject, answer, String(Math.round(ms))];
      out.write(`${colour(isSuccess ? 32 : 31, row(cells))}\n`);
    },
    note(text) {
      out.write(`${colour(2, text)}\n`);
    },
    end() {
      out.write(`${good} answered well, ${bad} did not.\n`);
    },
  };
}
