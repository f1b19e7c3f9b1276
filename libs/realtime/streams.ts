/** Numbered deltas: the writer numbers them, the reader detects gaps. */
import type { StreamItem, StreamWriter } from './bus.ts';

/** a: attempt. n: number of the delta; in the end message, number of the last delta. d: the delta. */
export type StreamMessage = { a: number; n: number; d: unknown } | { a: number; n: number; end: true };

export function createStreamWriter(attempt: number, publish: (message: StreamMessage) => void): StreamWriter {
  let number = 0;
  let ended = false;
  return {
    send(delta) {
      if (!ended) publish({ a: attempt, n: ++number, d: delta ?? null });
      return number;
    },
    end() {
      if (!ended) publish({ a: attempt, n: number, end: true });
      ended = true;
    },
  };
}

/** One reader's position in a stream. A newer attempt restarts it; older attempts and duplicates are dropped. */
export class StreamReader {
  private attempt = 0;
  private last = 0;
  private ended = false;

  constructor(private readonly emit: (item: StreamItem) => void) {}

  read(message: StreamMessage): void {
    const { a: attempt, n: number } = message;
    if (attempt < this.attempt || (attempt === this.attempt && this.ended)) return;
    if (attempt > this.attempt) Object.assign(this, { attempt, last: 0, ended: false });
    const isEnd = 'end' in message;
    if (!isEnd && number <= this.last) return;
    const previous = isEnd ? number : number - 1;
    if (previous > this.last) this.emit({ kind: 'gap', attempt, from: this.last + 1, to: previous });
    this.last = number;
    this.ended = isEnd;
    this.emit(
      isEnd ? { kind: 'end', attempt, last: number } : { kind: 'delta', attempt, number, delta: message.d },
    );
  }

  onMissed(): void {
    if (!this.ended) this.emit({ kind: 'resync', attempt: this.attempt, after: this.last });
  }
}
