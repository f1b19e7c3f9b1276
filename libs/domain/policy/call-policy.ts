/**
 * The policy around each call to one model of a provider, with what this process has learned about the model: when a
 * call may be sent, what its failure means, and when it is retried. Tests replace the clock.
 */
import type { ProviderFailure } from '../errors.ts';
import { AdaptiveRate } from './adaptive-rate.ts';
import { AttemptBudget, defaultCallBudget, type CallBudget, type UsedBudget } from './attempt-budget.ts';
import { computeBackoffMs } from './backoff.ts';
import {
  CircuitBreaker,
  defaultBreakerOptions,
  type BreakerCall,
  type BreakerOptions,
} from './circuit-breaker.ts';
import {
  classifyFailure,
  isCredentialBlocked,
  isOutage,
  isTemporary,
  type FailureClass,
} from './classify-failure.ts';
import { CredentialState } from './credential-state.ts';
import { copyFailure, providerUnavailable } from './unsent-failures.ts';

export interface PolicyClock {
  /** ms since the epoch. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** @throws the reason of the signal. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** Up to this share is added to a rate limit's wait, because many workers may get the same `Retry-After`. */
const rateLimitJitter = 0.1;

export interface PolicyOptions {
  readonly budget: CallBudget;
  readonly breaker: BreakerOptions;
  /** How long nothing is sent with a credential that was rejected or has no credit left. */
  readonly blockMs: number;
}

/** A provider's own values for its calls. */
export type PolicyOverrides = Partial<Omit<PolicyOptions, 'budget'>> & {
  readonly budget?: Partial<CallBudget>;
};

export const defaultPolicyOptions: PolicyOptions = {
  budget: defaultCallBudget,
  breaker: defaultBreakerOptions,
  blockMs: 60_000,
};

/** The result of one attempt, for metrics and records. */
export interface AttemptRecord {
  readonly ms: number;
  /** null when the attempt succeeded. */
  readonly failureClass: FailureClass | null;
  readonly failure: ProviderFailure | null;
}

export interface CallOptions<T> extends UsedBudget {
  /** Ends all attempts and waits. `call` then throws its reason. */
  readonly signal: AbortSignal;
  /** No attempt starts after this time, and none is waited for (ms since the epoch). */
  readonly deadline?: number;
  /** After a time-out, return to the caller, which calls again with each half and the attempts that are left. */
  readonly splitsOnTimeout?: boolean;
  /** Waits for a permit of the call limiter. The permit is released after each attempt. */
  readonly acquire: () => Promise<() => void>;
  /** Runs one attempt. @param alive reports that the provider responds, when that is known before the result. */
  readonly execute: (alive: () => void) => Promise<T>;
  /** @returns the error as a ProviderFailure. Throws what is not a failure of the call. */
  readonly translate: (error: unknown) => ProviderFailure;
  /** Called after each attempt. */
  readonly observe: (record: AttemptRecord) => void;
}

export interface CallFailure {
  readonly failure: ProviderFailure;
  readonly failureClass: FailureClass;
  /** Attempts that these inputs have used. */
  readonly usedAttempts: number;
  /** Whether these inputs must not be called together again. */
  readonly isFinal: boolean;
}

export type CallResult<T> = { readonly answer: T } | CallFailure;

interface StartedAttempt {
  readonly breakerCall: BreakerCall;
  readonly release: () => void;
}

/** A rate limit without `Retry-After` is waited for with this backoff while the provider accepts nothing. */
const rateLimitBackoff = { baseMs: 1_000, maxMs: 30_000 };

/** `Retry-After` of a failure whose provider names no time. */
const minRetryAfterMs = 1_000;

/** A call of deferrable work leaves this much time, so that the call of a waiting caller takes the next place. */
const precedenceMs = 5;

export class CallPolicy {
  private readonly breaker: CircuitBreaker;
  private readonly rate = new AdaptiveRate();
  private lastRateLimit: ProviderFailure | null = null;

  constructor(
    private readonly credential: CredentialState,
    private readonly clock: PolicyClock,
    private readonly options: PolicyOptions = defaultPolicyOptions,
  ) {
    this.breaker = new CircuitBreaker(options.breaker);
  }

  /** Call when new work starts, e.g. a resumed batch: its first call then checks the credential again. */
  unblockCredential(): void {
    this.credential.unblock();
  }

  /** A policy with the same options and no shared state, for requests that don't go to this provider. */
  createIsolated(): CallPolicy {
    return new CallPolicy(new CredentialState(), this.clock, this.options);
  }

  /** @param ageMs ms since the work started. @returns whether it can be deferred once more. */
  mayDefer(ageMs: number): boolean {
    return ageMs < this.options.budget.maxDeferralMs;
  }

  /** Calls per second that the provider accepts, as far as it is known. null: it has refused none. */
  get callsPerSecond(): number | null {
    return this.rate.callsPerSecond;
  }

  /** @throws only the reason of an aborted signal, and what `translate` throws. */
  async call<T>(options: CallOptions<T>): Promise<CallResult<T>> {
    const budget = new AttemptBudget(this.options.budget, options);
    for (let failedProbes = 0; ;) {
      const started = await this.startAttempt(budget, failedProbes, options);
      if ('failure' in started) return { ...started, usedAttempts: budget.used, isFinal: true };
      const { breakerCall, release } = started;
      const result = await this.runAttempt(breakerCall, options).finally(release);
      if ('answer' in result) return result;
      const { failure } = result;
      const failureClass = classifyFailure(failure);
      if (breakerCall.isProbe) failedProbes++;
      const pauseMs = budget.getNextPauseMs(
        failureClass,
        failure.retryAfterMs,
        this.clock.random(),
        !breakerCall.isProbe,
      );
      const isFinal = pauseMs === null || this.clock.now() + pauseMs > (options.deadline ?? Infinity);
      const ended = {
        failure: isFinal ? this.addRetryAfter(failure, failureClass, budget) : failure,
        failureClass,
        usedAttempts: budget.used,
      };
      if (isFinal) return { ...ended, isFinal };
      if (pauseMs > 0) await this.clock.wait(pauseMs, options.signal);
      if (failureClass === 'timed_out' && options.splitsOnTimeout) return { ...ended, isFinal };
    }
  }

  /** Waits until it has both a permit and the breaker's permission. It never holds one while it waits for the other. */
  private async startAttempt<T>(
    budget: AttemptBudget,
    failedProbes: number,
    options: CallOptions<T>,
  ): Promise<StartedAttempt | Pick<CallFailure, 'failure' | 'failureClass'>> {
    for (;;) {
      options.signal.throwIfAborted();
      const release = await options.acquire();
      const block = this.credential.getBlock(this.clock.now());
      if (block) {
        release();
        return { failure: block, failureClass: classifyFailure(block) };
      }
      const breakerCall = this.breaker.tryBegin(this.clock.now(), failedProbes);
      if (typeof breakerCall !== 'number') {
        const rateMs = this.rate.take(this.clock.now());
        if (rateMs === 0) return { breakerCall, release };
        this.breaker.recordCanceled(breakerCall);
        release();
        const refused = await this.waitForRate(rateMs, budget, options);
        if (refused) return { failure: refused, failureClass: 'rate_limited' };
        continue;
      }
      release();
      const failure = await this.waitForBreaker(breakerCall, budget, options);
      if (failure) return { failure, failureClass: classifyFailure(failure) };
    }
  }

  /**
   * Waits for the call's turn at the rate that the provider accepts. Deferrable work waits as long as it takes.
   * @returns null when the rate should be asked again, or the rate limit when the caller does not wait that long.
   */
  private async waitForRate<T>(ms: number, budget: AttemptBudget, options: CallOptions<T>) {
    if (!budget.canDefer && !budget.canWaitInline(ms)) return this.copyLastFailure(ms, budget);
    const startedAt = this.clock.now();
    await this.clock.wait(budget.canDefer ? ms + precedenceMs : ms, options.signal);
    if (budget.canDefer || budget.spendWait(this.clock.now() - startedAt)) return null;
    return this.copyLastFailure(ms, budget);
  }

  /** @returns null when the breaker should be asked again, or the failure when waiting is not worth it. */
  private async waitForBreaker<T>(ms: number, budget: AttemptBudget, options: CallOptions<T>) {
    const { clock, breaker } = this;
    const startedAt = clock.now();
    if (ms !== Infinity && !budget.canWaitInline(ms)) return this.copyLastFailure(ms, budget);
    const outageMs = breaker.getOutageMs(startedAt);
    const leftMs = Math.min(
      this.options.budget.maxWaitMs - outageMs,
      (options.deadline ?? Infinity) - startedAt,
      options.patienceMs ?? Infinity,
    );
    if (leftMs <= 0 || (ms !== Infinity && ms > leftMs)) return this.copyLastFailure(ms, budget);
    const changed = new AbortController();
    const unsubscribe = breaker.onChange(() => changed.abort());
    try {
      await clock.wait(Math.min(ms, leftMs), AbortSignal.any([options.signal, changed.signal]));
    } catch {
      options.signal.throwIfAborted();
    } finally {
      unsubscribe();
    }
    return budget.spendWait(clock.now() - startedAt) ? null : this.copyLastFailure(ms, budget);
  }

  /** Adds what the caller needs after its last attempt: whether the work can be deferred, and when to come again. */
  private addRetryAfter(failure: ProviderFailure, failureClass: FailureClass, { canDefer }: AttemptBudget) {
    if (canDefer) {
      return isTemporary(failureClass) ? copyFailure(failure, failure.retryAfterMs, true) : failure;
    }
    if (!isTemporary(failureClass) && !isOutage(failureClass)) return failure;
    const openMs = this.breaker.getOpenMs(this.clock.now());
    return copyFailure(failure, failure.retryAfterMs ?? Math.max(minRetryAfterMs, openMs), false);
  }

  /** What the provider answered last, for a call that was not sent. @param ms until calls are allowed again */
  private copyLastFailure(ms: number, { canDefer }: AttemptBudget): ProviderFailure {
    const last = this.breaker.lastFailure ?? this.lastRateLimit;
    const retryAfterMs = ms === Infinity ? null : ms;
    return last ? copyFailure(last, retryAfterMs, canDefer) : providerUnavailable(retryAfterMs, canDefer);
  }

  private async runAttempt<T>(
    breakerCall: BreakerCall,
    options: CallOptions<T>,
  ): Promise<{ answer: T } | { failure: ProviderFailure }> {
    const { breaker, clock } = this;
    const startedAt = clock.now();
    try {
      const answer = await options.execute(() => breaker.recordAnswer(breakerCall));
      breaker.recordAnswer(breakerCall);
      this.rate.recordAccepted(clock.now());
      options.observe({ ms: clock.now() - startedAt, failureClass: null, failure: null });
      return { answer };
    } catch (error) {
      if (options.signal.aborted) breaker.recordCanceled(breakerCall);
      options.signal.throwIfAborted();
      const reported = this.translate(error, breakerCall, options);
      const failureClass = classifyFailure(reported);
      const failure = failureClass === 'rate_limited' ? this.limitRate(reported, startedAt) : reported;
      options.observe({ ms: clock.now() - startedAt, failureClass, failure });
      this.recordFailure(failureClass, failure, breakerCall);
      return { failure };
    }
  }

  private translate<T>(error: unknown, breakerCall: BreakerCall, options: CallOptions<T>): ProviderFailure {
    try {
      return options.translate(error);
    } catch (untranslated) {
      this.breaker.recordCanceled(breakerCall);
      throw untranslated;
    }
  }

  /**
   * Lowers the rate of calls. @returns the failure with the time to wait: the provider's `Retry-After`; the next turn at
   * the new rate, if the provider accepts other calls; otherwise a backoff.
   */
  private limitRate(failure: ProviderFailure, startedAt: number): ProviderFailure {
    const now = this.clock.now();
    const acceptsOthers = this.rate.hasAccepted(now);
    this.rate.recordRefused(startedAt, now);
    const { consecutiveRateLimits } = this.breaker;
    const waitMs =
      failure.retryAfterMs ??
      (acceptsOthers
        ? (1_000 / this.rate.callsPerSecond!) * 2 ** Math.min(consecutiveRateLimits, 10)
        : computeBackoffMs(rateLimitBackoff, consecutiveRateLimits + 1, 0.5 + this.clock.random() / 2));
    return (this.lastRateLimit = copyFailure(failure, waitMs, false));
  }

  private recordFailure(
    failureClass: FailureClass,
    failure: ProviderFailure,
    breakerCall: BreakerCall,
  ): void {
    const now = this.clock.now();
    if (isCredentialBlocked(failureClass)) this.credential.block(failure, now + this.options.blockMs);
    if (isOutage(failureClass)) this.breaker.recordFailure(breakerCall, now, this.clock.random(), failure);
    else if (failureClass === 'rate_limited') {
      const waitMs = (failure.retryAfterMs ?? 0) * (1 + rateLimitJitter * this.clock.random());
      this.breaker.pauseUntil(breakerCall, now + waitMs, failure);
    } else if (failureClass === 'loading') this.breaker.recordCanceled(breakerCall);
    else this.breaker.recordAnswer(breakerCall);
  }
}
