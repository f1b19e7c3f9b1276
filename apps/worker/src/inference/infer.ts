/**
 * Inputs through a provider, for batches and direct requests alike: joined to one call, answered each on its own. What
 * a failure calls for is the policy's to say (libs/domain/policy); here its verdict is carried out on the inputs.
 */
import { packingOf, type Answer, type Kind, type KindId } from '#catalogue';
import type { WireError } from '@millrace/contracts';
import {
  type Failure,
  splitUntilSettled,
  InvalidInput,
  ProviderFailure,
  type AdaptivePacking,
  type CallOptions,
  type CallFailure,
  type AttemptRecord,
  type CallPolicy,
} from '#domain';
import { resolveMedia, type MediaSources } from '#media';
import type { Route, Run } from '#providers';
import type { Logger } from '#telemetry';
import type { Release } from './call-limiter.ts';

export type Outcome = { readonly answer: Answer } | { readonly failure: Failure };

export interface InferItem {
  readonly body: unknown;
  /** May be called again with another outcome; the first counts. */
  readonly settle: (outcome: Outcome) => void;
  /** Nobody wants its outcome any more: it is left out of what is still to be called. */
  readonly signal?: AbortSignal;
}

/** What a call goes through, and who is told of it. */
export interface InferOptions {
  readonly kind: Kind;
  readonly call: (input: unknown, run: Run) => Promise<unknown>;
  /** The run of one call. */
  readonly run: (signal: AbortSignal) => Run;
  readonly media: MediaSources;
  /** Time of one call, in ms. @default the kind's */
  readonly timeoutMs?: number | null;
  /** No try begins, and none is waited for, after this moment (ms since the epoch). */
  readonly deadline?: number;
  /** Ends everything; `infer` then rejects with its reason. */
  readonly signal: AbortSignal;
  /** Waits for the device; held for one try and not while the next waits. */
  readonly acquire: () => Promise<Release>;
  /** The policy around each call, and what this process knows of the model's provider. */
  readonly policy: CallPolicy;
  readonly packing: AdaptivePacking;
  /** Told how each try went. */
  readonly observe: (record: AttemptRecord) => void;
  readonly log: Logger;
}

/** The handler behind a route, bound to its model. */
export function bindHandler({ provider, model }: Route, kind: KindId): InferOptions['call'] {
  const handler = provider.handlers[kind]!;
  return (input, run) => handler({ model, input: input as never }, run);
}

/** Settles when every item is settled. @throws only the reason of an aborted `signal` */
export async function infer(items: readonly InferItem[], deps: InferOptions): Promise<void> {
  await splitUntilSettled(items, (some, used) => inferTogether(some, used, deps));
}

async function inferTogether(items: readonly InferItem[], used: number, deps: InferOptions) {
  const { signal, deadline, acquire, observe } = deps;
  let wanted = items;
  const translate = (error: unknown) => asFailure(error, wanted, deps.log);
  const inHand = { signal, deadline, used, inHalves: items.length > 1, translate };
  const fetched = await fetchMedia(items, deps, inHand);
  const called =
    fetched ??
    (await deps.policy.call({
      ...inHand,
      acquire,
      execute: (alive) => callOnce((wanted = items.filter((item) => !item.signal?.aborted)), deps, alive),
      observe,
    }));
  if ('answer' in called) {
    deps.packing.grow();
    // The turn is given up by now: whoever has it next sends its call before these are written.
    if (wanted.length > 1) await new Promise(setImmediate);
    for (const [at, part] of called.answer.entries())
      wanted[at]!.settle(answerOf(part, wanted[at]!.body, deps));
    return { settled: true, used: 0 };
  }
  const { failure, failureClass, isFinal } = called;
  const isLate = failureClass === 'overdue' && !isFinal;
  if (isLate || failureClass === 'smaller') deps.packing.shrink({ items: wanted.length });
  const isSuspect = failure.suspect && (failureClass === 'item' || failureClass === 'transient');
  if (wanted.length > 1 && (isLate || failureClass === 'smaller' || isSuspect)) {
    return { settled: false, used: isLate ? called.usedAttempts : 0 };
  }
  for (const { settle } of wanted) settle({ failure });
  return { settled: true, used: 0 };
}

/** What the inputs name by URL or file comes first, under the same policy, but on no account of the provider's. */
async function fetchMedia(
  items: readonly InferItem[],
  { kind, media, policy, signal }: InferOptions,
  inHand: Pick<CallOptions<null>, 'signal' | 'deadline' | 'usedAttempts' | 'splitsOnTimeout' | 'translate'>,
): Promise<CallFailure | null> {
  const slots = items.flatMap(({ body, signal: own }) => (own?.aborted ? [] : (kind.media?.(body) ?? [])));
  if (slots.length === 0) return null;
  const fetched = await policy.createIsolated().call({
    ...inHand,
    acquire: async () => () => undefined,
    execute: () => resolveMedia(slots, media, signal),
    observe: () => undefined,
  });
  return 'failure' in fetched ? fetched : null;
}

/** One try. An output that does not fit what was asked is a failure of the try: it is never written. */
async function callOnce(
  items: readonly InferItem[],
  deps: InferOptions,
  alive: () => void,
): Promise<unknown[]> {
  const { kind } = deps;
  const bodies = items.map(({ body }) => body);
  const packing = packingOf(kind);
  const limit = limited(deps);
  try {
    const output = await deps.call(packing.join(bodies), toldBy(deps.run(limit.signal), alive));
    return packing.split(output, bodies);
  } finally {
    limit.end();
  }
}

/** Whatever a provider says meanwhile shows that it is there. */
const toldBy = (run: Run, alive: () => void): Run => ({
  ...run,
  reportProgress(progress) {
    alive();
    run.reportProgress(progress);
  },
  stream(delta) {
    alive();
    run.stream(delta);
  },
  saveRunId(id) {
    alive();
    return run.saveRunId(id);
  },
});

/** An answer that our own code can't write fails alone; thrown on, it would hold up its neighbours at every try. */
function answerOf(output: unknown, body: unknown, { kind, log }: InferOptions): Outcome {
  try {
    return { answer: kind.answer(output, body) };
  } catch (error) {
    return { failure: faultOfOurs(error, 1, log) };
  }
}

/**
 * A call's time, ended with the call: of `AbortSignal.timeout` and `AbortSignal.any` a million calls that failed
 * at once left as many behind, each for its whole minute: 1.4 GB.
 */
function limited({ signal, kind, timeoutMs }: InferOptions): { signal: AbortSignal; end(): void } {
  const own = new AbortController();
  const stop = () => own.abort(signal.reason);
  const expire = () => own.abort(new DOMException('The call took too long.', 'TimeoutError'));
  const timer = setTimeout(expire, timeoutMs ?? kind.timeoutMs);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return {
    signal: own.signal,
    end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    },
  };
}

/** A time-out of ours counts as the provider's; what a provider did not translate is a fault of ours. */
function asFailure(error: unknown, items: readonly InferItem[], log: Logger): ProviderFailure {
  if (error instanceof ProviderFailure) return error;
  if (error instanceof InvalidInput) {
    return new ProviderFailure(error.message, {
      code: error.code,
      param: error.param ?? undefined,
      status: 400,
      retryable: false,
    });
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new ProviderFailure('The provider did not answer in time.', {
      code: 'request_timeout',
      status: 408,
      retryable: true,
    });
  }
  return faultOfOurs(error, items.length, log);
}

function faultOfOurs(error: unknown, inputs: number, log: Logger): ProviderFailure {
  log.error({ err: error, inputs }, 'inputs could not be run');
  return new ProviderFailure('Something went wrong here while this was run.', {
    code: 'internal_error',
    status: 500,
    retryable: false,
    cause: error,
  });
}

/** A failure as it stands in a line's record and in a task. */
export function toWireError(failure: Failure): WireError {
  return {
    message: failure.message,
    type: failure.status < 500 ? 'invalid_request_error' : 'server_error',
    param: failure.param,
    code: failure.code,
  };
}
