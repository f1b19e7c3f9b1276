/**
 * The policy around each call to one model of a provider, with what this process has learned about the model: when a
 * call may be sent, what its failure means, and when it is retried. Tests replace the clock.
 */
import { ProviderFailure } from '../errors.ts';
import { AttemptBudget, defaultCallBudget, type CallBudget } from './attempt-budget.ts';
import {
  CircuitBreaker,
  defaultBreakerOptions,
  type BreakerCall,
  type BreakerOptions,
} from './circuit-breaker.ts';
import { classifyFailure, isCredentialBlocked, isOutage, type FailureClass } from './classify-failure.ts';

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

export interface CallOptions<T> {
  /** Ends all attempts and waits. `call` then throws its reason. */
  readonly signal: AbortSignal;
  /** No attempt starts after this time, and none is waited for (ms since the epoch). */
  readonly deadline?: number;
  /** Attempts that an earlier call with the same inputs has used. */
  readonly usedAttempts?: number;
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

/** Whether the provider accepts a credential now. All models that are called with the credential share it. */
export class CredentialState {
  private current: { readonly until: number; readonly failure: ProviderFailure } | null = null;

  /** @param until ms since the epoch. */
  block(failure: ProviderFailure, until: number): void {
    this.current = { failure, until };
  }

  /** Clears the block, so that the next call checks the credential again. */
  unblock(): void {
    this.current = null;
  }

  /** @returns the failure that blocks the credential, or null. */
  getBlock(now: number): ProviderFailure | null {
    return this.current && now < this.current.until ? this.current.failure : null;
  }
}

export class CallPolicy {
  private readonly breaker: CircuitBreaker;

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

  /** @throws only the reason of an aborted signal, and what `translate` throws. */
  async call<T>(options: CallOptions<T>): Promise<CallResult<T>> {
    const budget = new AttemptBudget(this.options.budget, options.usedAttempts);
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
      const ended = { failure, failureClass, usedAttempts: budget.used };
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
      if (typeof breakerCall !== 'number') return { breakerCall, release };
      release();
      const failure = await this.waitForBreaker(breakerCall, budget, options);
      if (failure) return { failure, failureClass: classifyFailure(failure) };
    }
  }

  /** @returns null when the breaker should be asked again, or the failure when waiting is not worth it. */
  private async waitForBreaker<T>(ms: number, budget: AttemptBudget, options: CallOptions<T>) {
    const { clock, breaker } = this;
    const startedAt = clock.now();
    const { rateLimit } = breaker;
    if (rateLimit && ms !== Infinity && !budget.canWaitInline(ms)) return copyRateLimit(rateLimit, ms);
    const outageMs = breaker.getOutageMs(startedAt);
    const leftMs = Math.min(
      this.options.budget.maxWaitMs - outageMs,
      (options.deadline ?? Infinity) - startedAt,
    );
    if (leftMs <= 0 || (ms !== Infinity && ms > leftMs)) return providerUnavailable(ms);
    const changed = new AbortController();
    const unsubscribe = breaker.onChange(() => changed.abort());
    try {
      await clock.wait(Math.min(ms, leftMs), AbortSignal.any([options.signal, changed.signal]));
    } catch {
      options.signal.throwIfAborted();
    } finally {
      unsubscribe();
    }
    return budget.spendWait(clock.now() - startedAt) === null ? providerUnavailable(ms) : null;
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
      options.observe({ ms: clock.now() - startedAt, failureClass: null, failure: null });
      return { answer };
    } catch (error) {
      if (options.signal.aborted) breaker.recordCanceled(breakerCall);
      options.signal.throwIfAborted();
      const failure = this.translate(error, breakerCall, options);
      const failureClass = classifyFailure(failure);
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

  private recordFailure(
    failureClass: FailureClass,
    failure: ProviderFailure,
    breakerCall: BreakerCall,
  ): void {
    const now = this.clock.now();
    if (isCredentialBlocked(failureClass)) this.credential.block(failure, now + this.options.blockMs);
    if (isOutage(failureClass)) this.breaker.recordFailure(breakerCall, now, this.clock.random());
    else if (failureClass === 'rate_limited') {
      const waitMs = (failure.retryAfterMs ?? 0) * (1 + rateLimitJitter * this.clock.random());
      this.breaker.pauseUntil(breakerCall, now + waitMs, failure);
    } else if (failureClass === 'loading') this.breaker.recordCanceled(breakerCall);
    else this.breaker.recordAnswer(breakerCall);
  }
}

/** The rate limit of another call, for a call that was not sent. @param ms that are left of the limit */
const copyRateLimit = ({ message, code, status, cause }: ProviderFailure, ms: number): ProviderFailure =>
  new ProviderFailure(message, { code, status, retryable: true, retryAfterMs: Math.ceil(ms), cause });

const providerUnavailable = (ms: number): ProviderFailure =>
  new ProviderFailure('The provider did not answer, and did not recover in the time this request can wait.', {
    code: 'provider_unavailable',
    status: 503,
    retryable: true,
    retryAfterMs: ms === Infinity ? null : ms,
  });
