/**
 * Who may use a provider's device next. A turn is one call (a micro-batch), and no more than the device's slots are
 * out at once: direct requests go first, in the order in which they came; the chunks of batches share what is left,
 * a turn each in rotation. So a direct request waits for one micro-batch at most, never for a whole chunk.
 */

/** Ends a turn; a second call does nothing. */
export type Release = () => void;

interface Asking {
  readonly grant: () => void;
}

export class Device {
  private underWay = 0;
  private readonly direct = new Set<Asking>();
  /** In the order of their next turn. */
  private readonly chunks = new Map<string, Set<Asking>>();

  /** @param slots turns that may be out at once. */
  constructor(readonly slots: number) {}

  /** @param signal takes the question back; rejects with its reason. */
  directTurn(signal: AbortSignal): Promise<Release> {
    return this.ask(this.direct, signal);
  }

  /** @param chunk in whose name; each that asks has its turn before any has another. */
  batchTurn(chunk: string, signal: AbortSignal): Promise<Release> {
    let asking = this.chunks.get(chunk);
    if (!asking) this.chunks.set(chunk, (asking = new Set()));
    return this.ask(asking, signal);
  }

  private ask(line: Set<Asking>, signal: AbortSignal): Promise<Release> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const leave = () => {
        line.delete(asking);
        reject(signal.reason as Error);
      };
      const asking: Asking = {
        grant: () => {
          signal.removeEventListener('abort', leave);
          resolve(this.begin());
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      line.add(asking);
      this.handOut();
    });
  }

  private begin(): Release {
    this.underWay++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.underWay--;
      this.handOut();
    };
  }

  private handOut(): void {
    while (this.underWay < this.slots) {
      const next = this.takeDirect() ?? this.takeChunk();
      if (!next) return;
      next.grant();
    }
  }

  private takeDirect(): Asking | undefined {
    return take(this.direct);
  }

  private takeChunk(): Asking | undefined {
    for (const [chunk, line] of this.chunks) {
      this.chunks.delete(chunk);
      const next = take(line);
      // The others of its line wait until every other chunk has had a turn.
      if (line.size > 0) this.chunks.set(chunk, line);
      if (next) return next;
    }
    return undefined;
  }
}

function take(line: Set<Asking>): Asking | undefined {
  const [first] = line;
  if (first) line.delete(first);
  return first;
}
