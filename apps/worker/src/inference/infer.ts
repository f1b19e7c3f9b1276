/**
 * Runs inputs through a provider, for chunks and direct requests alike: it joins them to one call, and settles each
 * input with its own outcome. The call policy (libs/domain/policy) classifies a failure; this file applies the class to
 * the inputs.
 */
import { startTimeLimit } from '#async';
import { getPacking, type Answer, type Kind, type KindId } from '#catalogue';
import {
  boundUsage,
  splitUntilSettled,
  type AdaptivePacking,
  type AttemptRecord,
  type CallFailure,
  type CallOptions,
  type CallPolicy,
  type Failure,
} from '#domain';
import { resolveMedia, type MediaSources } from '#media';
import type { Route, Run } from '#providers';
import type { Logger } from '#telemetry';
import type { Release } from './call-limiter.ts';
import { createCallTimeout, internalFailure, toProviderFailure } from './infer-failures.ts';

export type Outcome = { readonly answer: Answer } | { readonly failure: Failure };

export interface InferItem {
  readonly body: unknown;
  /** May be called again with another outcome. The first one counts. */
  readonly settle: (outcome: Outcome) => void;
  /** Aborted when the outcome is no longer needed. The item is then left out of later attempts. */
  readonly signal?: AbortSignal;
}

export interface InferOptions {
  readonly kind: Kind;
  readonly call: (input: unknown, run: Run) => Promise<unknown>;
  /** Creates the run of one call. */
  readonly run: (signal: AbortSignal) => Run;
  readonly media: MediaSources;
  /** Time limit of one call, in ms. @default that of the kind */
  readonly timeoutMs?: number | null;
  /** No attempt starts after this time, and none is waited for (ms since the epoch). */
  readonly deadline?: number;
  /** How long a waiting caller has patience for the provider, in ms. null: no client waits for the result. */
  readonly patienceMs: number | null;
  /** Whether work without a waiting caller can be called again later. */
  readonly mayDefer: boolean;
  /** Ends all attempts and waits. `infer` then rejects with its reason. */
  readonly signal: AbortSignal;
  /** Waits for a permit of the call limiter. It is held during one attempt, and not while waiting for the next. */
  readonly acquire: () => Promise<Release>;
  readonly policy: CallPolicy;
  readonly packing: AdaptivePacking;
  /** Called after each attempt. */
  readonly observe: (record: AttemptRecord) => void;
  readonly log: Logger;
}

/** @returns the provider's handler for this kind, bound to the model and the credential. */
export function bindHandler({ provider, model, credential }: Route, kind: KindId): InferOptions['call'] {
  const handler = provider.handlers[kind]!;
  return (input, run) => handler({ model, credential, input: input as never }, run);
}

/** Resolves when every item is settled. @throws only the reason of an aborted `signal` */
export async function infer(items: readonly InferItem[], options: InferOptions): Promise<void> {
  await splitUntilSettled(
    items,
    (some, usedAttempts) => inferTogether(some, usedAttempts, options),
    // A limit of inputs a call may be answered as 400 or 422, as an invalid input is.
    (tooMany) => options.packing.shrink({ items: tooMany }),
  );
}

async function inferTogether(items: readonly InferItem[], usedAttempts: number, options: InferOptions) {
  const { signal, deadline, patienceMs, mayDefer, acquire, observe, policy, packing } = options;
  let active = items;
  const shared: SharedCallOptions = {
    signal,
    deadline,
    patienceMs,
    mayDefer,
    usedAttempts,
    splitsOnTimeout: items.length > 1,
    translate: (error) => toProviderFailure(error, active.length, options.log),
  };
  const result =
    (await fetchMedia(items, options, shared)) ??
    (await policy.call({
      ...shared,
      acquire,
      execute: (alive) => {
        active = items.filter((item) => !item.signal?.aborted);
        return callOnce(active, options, alive);
      },
      observe,
    }));
  if ('answer' in result) {
    packing.grow();
    // The permit is released by now. Let its next holder send a call before this one's answers are written.
    if (active.length > 1) await new Promise(setImmediate);
    for (const [at, output] of result.answer.entries())
      active[at]!.settle(toOutcome(output, active[at]!.body, options));
    return { settled: true, failed: false, usedAttempts: 0 };
  }
  const { failure, failureClass, isFinal } = result;
  const canRetrySmaller = failureClass === 'timed_out' && !isFinal;
  const mustShrink = canRetrySmaller || failureClass === 'too_large';
  if (mustShrink) packing.shrink({ items: active.length });
  const mayBeOneInput = failure.suspect && (failureClass === 'invalid_input' || failureClass === 'transient');
  if (active.length > 1 && (mustShrink || mayBeOneInput)) {
    return { settled: false, failed: true, usedAttempts: canRetrySmaller ? result.usedAttempts : 0 };
  }
  for (const { settle } of active) settle({ failure });
  return { settled: true, failed: true, usedAttempts: 0 };
}

type SharedCallOptions = Pick<
  CallOptions<unknown>,
  'signal' | 'deadline' | 'patienceMs' | 'mayDefer' | 'usedAttempts' | 'splitsOnTimeout' | 'translate'
>;

/**
 * Fetches the media that inputs name by URL or file. It uses the same policy with separate state, because a media host
 * that fails says nothing about the provider. @returns the failure, or null.
 */
async function fetchMedia(
  items: readonly InferItem[],
  { kind, media, policy, signal }: InferOptions,
  shared: SharedCallOptions,
): Promise<CallFailure | null> {
  const fields = items.flatMap(({ body, signal: own }) =>
    own?.aborted ? [] : (kind.listMediaFields?.(body) ?? []),
  );
  if (fields.length === 0) return null;
  const fetched = await policy.createIsolated().call({
    ...shared,
    acquire: async () => () => undefined,
    execute: () => resolveMedia(fields, media, signal),
    observe: () => undefined,
  });
  return 'failure' in fetched ? fetched : null;
}

/** One attempt. An output that does not match its inputs fails the attempt, so it is never stored. */
async function callOnce(
  items: readonly InferItem[],
  options: InferOptions,
  alive: () => void,
): Promise<unknown[]> {
  const bodies = items.map(({ body }) => body);
  const packing = getPacking(options.kind);
  const { kind, signal, timeoutMs } = options;
  const timeLimit = startTimeLimit(signal, timeoutMs ?? kind.timeoutMs, createCallTimeout);
  try {
    const run = reportAlive(options.run(timeLimit.signal), alive);
    return packing.split(await options.call(packing.join(bodies), run), bodies);
  } finally {
    timeLimit.end();
  }
}

/** Any message from the provider during a call shows that it responds. */
const reportAlive = (run: Run, alive: () => void): Run => ({
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

/** An answer that our own code can't build fails only its item. If it threw, it would fail its neighbours each time. */
function toOutcome(output: unknown, body: unknown, { kind, log }: InferOptions): Outcome {
  try {
    const answer = kind.buildAnswer(output, body);
    return { answer: { ...answer, usage: boundUsage(answer.usage) } };
  } catch (error) {
    return { failure: internalFailure(error, 1, log) };
  }
}
