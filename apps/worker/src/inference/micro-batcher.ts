/**
 * Packs direct requests to one model into provider calls. Each request waits for a permit, and the one that gets it
 * takes along all waiting requests that may share its call. No request is delayed in order to be packed: requests that
 * arrive while the limiter is busy go together.
 */
import { onAbort } from '#async';
import { getPacking, type Kind } from '#catalogue';
import type { AttemptRecord } from '#domain';
import type { Logger } from '#telemetry';
import type { CallLimiter, Release } from './call-limiter.ts';
import { infer, type InferItem, type InferOptions, type Outcome } from './infer.ts';

export interface DirectRequest {
  readonly kind: Kind;
  readonly call: InferOptions['call'];
  /** Requests with different keys never share a call. It contains the model and the kind's packing key. */
  readonly key: string;
  readonly policy: InferOptions['policy'];
  readonly packing: InferOptions['packing'];
  readonly body: unknown;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Receives progress and deltas. When requests share a call, only that of the first one is used. */
  readonly run: InferOptions['run'];
  readonly media: InferOptions['media'];
  readonly timeoutMs?: number | null;
  /** How long its caller has patience for the provider, in ms. null: no client waits for the result. */
  readonly patienceMs: number | null;
  readonly mayDefer: boolean;
  /** A permit that the request has already. */
  readonly permit?: Release | null;
  /** ms since the epoch. */
  readonly deadline?: number | undefined;
}

export interface DirectOutcome {
  readonly outcome: Outcome;
  /** Total duration of the attempts that included the request. */
  readonly providerMs: number;
}

interface WaitingRequest extends DirectRequest, InferItem {
  readonly signal: AbortSignal;
  readonly tokens: number;
  readonly items: number;
  /** Aborted when the request no longer needs a permit of its own. */
  readonly permitWait: AbortController;
  readonly fail: (reason: unknown) => void;
  providerMs: number;
}

export class MicroBatcher {
  private readonly waiting = new Set<WaitingRequest>();

  constructor(private readonly limiter: CallLimiter) {}

  /** @throws the reason of the request's signal, as soon as it is aborted. Requests that share the call continue. */
  async run(request: DirectRequest): Promise<DirectOutcome> {
    request.signal.throwIfAborted();
    const permitWait = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const { tokens, items } = getPacking(request.kind).weigh(request.body);
    const waiting: WaitingRequest = {
      ...request,
      tokens,
      items,
      permitWait,
      settle: resolve,
      fail: reject,
      providerMs: 0,
    };
    const cancel = (reason: unknown) => {
      this.waiting.delete(waiting);
      permitWait.abort();
      reject(reason);
    };
    const removeListener = onAbort(request.signal, cancel);
    this.waiting.add(waiting);
    void this.sendWhenPermitted(waiting);
    try {
      return { outcome: await promise, providerMs: waiting.providerMs };
    } finally {
      removeListener();
    }
  }

  private async sendWhenPermitted(first: WaitingRequest): Promise<void> {
    let permit: Release | null;
    try {
      permit = first.permit ?? (await this.limiter.acquireDirect(first.permitWait.signal));
    } catch {
      return; // Another request's call includes it, or it was cancelled.
    }
    const requests = this.takeFitting(first);
    const signal = abortWhenAllAbort(requests.map((request) => request.signal));
    const acquire = async (): Promise<Release> => {
      const release = permit ?? (await this.limiter.acquireDirect(signal));
      permit = null;
      return release;
    };
    const observe = ({ ms }: AttemptRecord) => requests.forEach((request) => (request.providerMs += ms));
    // The call may last as long as the latest deadline of its requests.
    const deadline = Math.max(...requests.map((request) => request.deadline ?? Infinity));
    await infer(requests, { ...toInferOptions(first), signal, deadline, acquire, observe }).catch(
      (error: unknown) => requests.forEach(({ fail }) => fail(error)),
    );
  }

  /** Takes `first` and the waiting requests that fit into its call. */
  private takeFitting(first: WaitingRequest): WaitingRequest[] {
    const taken = [first];
    this.waiting.delete(first);
    let { tokens, items } = first;
    const { maxTokens, maxItems } = first.packing;
    for (const other of this.waiting) {
      if (other.key !== first.key) continue;
      if (tokens + other.tokens > maxTokens || items + other.items > maxItems) continue;
      tokens += other.tokens;
      items += other.items;
      taken.push(other);
      this.waiting.delete(other);
      other.permitWait.abort();
    }
    return taken;
  }
}

const toInferOptions = ({
  kind,
  call,
  policy,
  packing,
  run,
  media,
  timeoutMs,
  patienceMs,
  mayDefer,
  log,
}: DirectRequest) => ({
  ...{ kind, call, policy, packing, run, media, timeoutMs, patienceMs, mayDefer, log },
});

/** Aborted when all of the signals are: a call continues while any request needs its answer. */
function abortWhenAllAbort(signals: readonly AbortSignal[]): AbortSignal {
  if (signals.length === 1) return signals[0]!;
  const all = new AbortController();
  let remaining = signals.length;
  for (const signal of signals) {
    onAbort(signal, (reason) => {
      if (--remaining === 0) all.abort(reason);
    });
  }
  return all.signal;
}
