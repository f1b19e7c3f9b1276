/**
 * Direct requests to one model: each asks for a turn, and whoever gets one takes along all that wait and may share
 * its call. Nobody waits to be packed: what a device that is busy lets gather, goes together.
 */
import { packingOf, type Kind } from '#catalogue';
import type { AttemptRecord } from '#domain';
import type { Logger } from '#telemetry';
import type { Release, CallLimiter } from './call-limiter.ts';
import { infer, type InferOptions, type InferItem, type Outcome } from './infer.ts';

export interface DirectRequest {
  readonly kind: Kind;
  readonly call: InferOptions['call'];
  /** Requests of different keys never share a call: the model and what the kind says of the body. */
  readonly key: string;
  readonly policy: InferOptions['policy'];
  readonly packing: InferOptions['packing'];
  readonly body: unknown;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** What the provider has to say meanwhile; of several that share a call, the first one's. */
  readonly run: InferOptions['run'];
  readonly media: InferOptions['media'];
  readonly timeoutMs?: number | null;
  /** ms since the epoch. */
  readonly deadline?: number | undefined;
}

export interface DirectOutcome {
  readonly outcome: Outcome;
  /** Time in the calls that it was part of. */
  readonly providerMs: number;
}

interface Waiting extends DirectRequest, InferItem {
  readonly signal: AbortSignal;
  readonly tokens: number;
  readonly items: number;
  /** Aborted when it no longer needs a turn of its own. */
  readonly placed: AbortController;
  readonly fail: (reason: unknown) => void;
  spentMs: number;
}

export class MicroBatcher {
  private readonly waiting = new Set<Waiting>();

  constructor(private readonly device: CallLimiter) {}

  /** @throws the reason of its signal, at once when that is aborted; those that share its call go on. */
  async run(request: DirectRequest): Promise<DirectOutcome> {
    request.signal.throwIfAborted();
    const placed = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const { tokens, items } = packingOf(request.kind).weigh(request.body);
    const waiting: Waiting = { ...request, tokens, items, placed, settle: resolve, fail: reject, spentMs: 0 };
    const leave = () => {
      this.waiting.delete(waiting);
      placed.abort();
      reject(request.signal.reason as Error);
    };
    request.signal.addEventListener('abort', leave, { once: true });
    this.waiting.add(waiting);
    void this.place(waiting);
    try {
      return { outcome: await promise, providerMs: waiting.spentMs };
    } finally {
      request.signal.removeEventListener('abort', leave);
    }
  }

  private async place(first: Waiting): Promise<void> {
    let release: Release | null;
    try {
      release = await this.device.acquireDirect(first.placed.signal);
    } catch {
      return; // Another's call took it along, or nobody wants it any more.
    }
    const together = this.takeAlong(first);
    const signal = allOf(together.map((one) => one.signal));
    const acquire = async (): Promise<Release> => {
      const held = release ?? (await this.device.acquireDirect(signal));
      release = null;
      return held;
    };
    const observe = ({ ms }: AttemptRecord) => together.forEach((one) => (one.spentMs += ms));
    // A call goes on while anybody may still use its answer.
    const deadline = Math.max(...together.map((one) => one.deadline ?? Infinity));
    await infer(together, { ...inferenceOf(first), signal, deadline, acquire, observe }).catch(
      (error: unknown) => together.forEach(({ fail }) => fail(error)),
    );
  }

  /** It and those behind it that fit into its call. */
  private takeAlong(first: Waiting): Waiting[] {
    const together = [first];
    this.waiting.delete(first);
    let { tokens, items } = first;
    for (const other of this.waiting) {
      if (other.key !== first.key) continue;
      if (tokens + other.tokens > first.packing.maxTokens || items + other.items > first.packing.maxItems)
        continue;
      tokens += other.tokens;
      items += other.items;
      together.push(other);
      this.waiting.delete(other);
      other.placed.abort();
    }
    return together;
  }
}

const inferenceOf = ({ kind, call, policy, packing, run, media, timeoutMs, log }: DirectRequest) => ({
  ...{ kind, call, policy, packing, run, media, timeoutMs, log },
});

/** Aborted when all of them are: a call goes on while anybody wants its answer. */
function allOf(signals: readonly AbortSignal[]): AbortSignal {
  if (signals.length === 1) return signals[0]!;
  const all = new AbortController();
  let left = signals.length;
  for (const signal of signals) {
    const gone = () => {
      if (--left === 0) all.abort(signal.reason);
    };
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
  }
  return all.signal;
}
