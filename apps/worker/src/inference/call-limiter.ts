/**
 * Limits how many calls run at a provider at the same time, and decides which call is next. Direct requests come first,
 * in the order of arrival, so a direct request waits for at most one micro-batch and never for a whole chunk. Batches
 * share the rest in rotation, one permit each. Within a batch the earliest chunk comes first: chunks that run side by
 * side would end together, and the limiter would be idle until the next ones are fetched.
 */

import { onAbort } from '#async';

/** Returns a permit. A second call does nothing. */
export type Release = () => void;

export interface CallLimiter {
  /** Permits that may be in use at once. */
  readonly maxCalls: number;
  /** Waits for a permit for a direct request. @throws the reason of `signal`. */
  acquireDirect(signal: AbortSignal): Promise<Release>;
  /** Waits for a permit for a call of a batch. @param chunk index in the batch. @throws the reason of `signal`. */
  acquireBatch(batch: string, chunk: number, signal: AbortSignal): Promise<Release>;
}

interface Waiter {
  readonly grant: () => void;
}

export class FairCallLimiter implements CallLimiter {
  private callsInUse = 0;
  private readonly direct = new Set<Waiter>();
  /** Batches in the order of their next permit, each with its waiters by chunk. */
  private readonly batches = new Map<string, Map<number, Set<Waiter>>>();

  constructor(readonly maxCalls: number) {}

  acquireDirect(signal: AbortSignal): Promise<Release> {
    return this.wait(this.direct, signal);
  }

  acquireBatch(batch: string, chunk: number, signal: AbortSignal): Promise<Release> {
    let chunks = this.batches.get(batch);
    if (!chunks) this.batches.set(batch, (chunks = new Map<number, Set<Waiter>>()));
    let waiters = chunks.get(chunk);
    if (!waiters) chunks.set(chunk, (waiters = new Set()));
    return this.wait(waiters, signal);
  }

  private wait(waiters: Set<Waiter>, signal: AbortSignal): Promise<Release> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const cancel = () => {
        waiters.delete(waiter);
        reject(signal.reason as Error);
      };
      const waiter: Waiter = {
        grant: () => {
          removeListener();
          resolve(this.issue());
        },
      };
      const removeListener = onAbort(signal, cancel);
      waiters.add(waiter);
      this.grantWaiting();
    });
  }

  private issue(): Release {
    this.callsInUse++;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.callsInUse--;
      this.grantWaiting();
    };
  }

  private grantWaiting(): void {
    while (this.callsInUse < this.maxCalls) {
      const next = takeFirst(this.direct) ?? this.takeBatchWaiter();
      if (!next) return;
      next.grant();
    }
  }

  private takeBatchWaiter(): Waiter | undefined {
    for (const [batch, chunks] of this.batches) {
      this.batches.delete(batch);
      const next = takeEarliestChunk(chunks);
      // Move the batch to the end of the rotation.
      if (chunks.size > 0) this.batches.set(batch, chunks);
      if (next) return next;
    }
    return undefined;
  }
}

/** A limiter for one model: at most `maxCalls` permits of its own, each of which is also a permit of `shared`. */
export function limitPerModel(maxCalls: number, shared: CallLimiter): CallLimiter {
  const own = new FairCallLimiter(maxCalls);
  const acquireBoth = async (acquire: (limiter: CallLimiter) => Promise<Release>): Promise<Release> => {
    const releaseOwn = await acquire(own);
    try {
      const releaseShared = await acquire(shared);
      return () => {
        releaseShared();
        releaseOwn();
      };
    } catch (error) {
      releaseOwn();
      throw error;
    }
  };
  return {
    maxCalls: Math.min(maxCalls, shared.maxCalls),
    acquireDirect: (signal) => acquireBoth((limiter) => limiter.acquireDirect(signal)),
    acquireBatch: (batch, chunk, signal) =>
      acquireBoth((limiter) => limiter.acquireBatch(batch, chunk, signal)),
  };
}

function takeEarliestChunk(chunks: Map<number, Set<Waiter>>): Waiter | undefined {
  for (const chunk of [...chunks.keys()].sort((a, b) => a - b)) {
    const waiters = chunks.get(chunk)!;
    const next = takeFirst(waiters);
    if (waiters.size === 0) chunks.delete(chunk);
    if (next) return next;
  }
  return undefined;
}

function takeFirst(waiters: Set<Waiter>): Waiter | undefined {
  const [first] = waiters;
  if (first) waiters.delete(first);
  return first;
}
