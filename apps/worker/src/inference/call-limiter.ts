/**
 * Who may use a provider's device next. A turn is one call (a micro-batch), and no more than the device's slots are
 * out at once: direct requests go first, in the order in which they came; batches share what is left, a turn each in
 * rotation. So a direct request waits for one micro-batch at most, never for a whole chunk. Of one batch the earliest
 * chunk goes first: chunks that ran side by side would end together, and nothing would run while the next are fetched.
 */

/** Ends a turn; a second call does nothing. */
export type Release = () => void;

/** Where calls wait until they may go. */
export interface CallLimiter {
  /** Turns that may be out at once. */
  readonly maxCalls: number;
  /** @param signal takes the question back; rejects with its reason. */
  acquireDirect(signal: AbortSignal): Promise<Release>;
  /** @param batch each that asks has its turn before any has another. @param chunk its number in the batch. */
  acquireBatch(batch: string, chunk: number, signal: AbortSignal): Promise<Release>;
}

interface Asking {
  readonly grant: () => void;
}

export class FairCallLimiter implements CallLimiter {
  private underWay = 0;
  private readonly direct = new Set<Asking>();
  /** In the order of their next turn; of each its chunks by number. */
  private readonly batches = new Map<string, Map<number, Set<Asking>>>();

  constructor(readonly maxCalls: number) {}

  acquireDirect(signal: AbortSignal): Promise<Release> {
    return this.ask(this.direct, signal);
  }

  acquireBatch(batch: string, chunk: number, signal: AbortSignal): Promise<Release> {
    let chunks = this.batches.get(batch);
    if (!chunks) this.batches.set(batch, (chunks = new Map<number, Set<Asking>>()));
    let asking = chunks.get(chunk);
    if (!asking) chunks.set(chunk, (asking = new Set()));
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
    while (this.underWay < this.maxCalls) {
      const next = this.takeDirect() ?? this.takeChunk();
      if (!next) return;
      next.grant();
    }
  }

  private takeDirect(): Asking | undefined {
    return take(this.direct);
  }

  private takeChunk(): Asking | undefined {
    for (const [batch, chunks] of this.batches) {
      this.batches.delete(batch);
      const next = takeEarliest(chunks);
      // Its others wait until every other batch has had a turn.
      if (chunks.size > 0) this.batches.set(batch, chunks);
      if (next) return next;
    }
    return undefined;
  }
}

/** Turns of a device for one of the things that share it, which may have no more than `bound` of them at once. */
export function limitPerModel(bound: number, device: FairCallLimiter): CallLimiter {
  const own = new FairCallLimiter(bound);
  const both = async (ask: (of: FairCallLimiter) => Promise<Release>): Promise<Release> => {
    const inner = await ask(own);
    try {
      const outer = await ask(device);
      return () => {
        outer();
        inner();
      };
    } catch (error) {
      inner();
      throw error;
    }
  };
  return {
    maxCalls: Math.min(bound, device.maxCalls),
    acquireDirect: (signal) => both((of) => of.acquireDirect(signal)),
    acquireBatch: (batch, chunk, signal) => both((of) => of.acquireBatch(batch, chunk, signal)),
  };
}

function takeEarliest(chunks: Map<number, Set<Asking>>): Asking | undefined {
  for (const chunk of [...chunks.keys()].sort((a, b) => a - b)) {
    const line = chunks.get(chunk)!;
    const next = take(line);
    if (line.size === 0) chunks.delete(chunk);
    if (next) return next;
  }
  return undefined;
}

function take(line: Set<Asking>): Asking | undefined {
  const [first] = line;
  if (first) line.delete(first);
  return first;
}
