/**
 * One model of one provider as this process has come to know it, and the policy around each call to it: when it may
 * go, what its failure calls for, and when it goes again. Time and chance are given, so that tests can set them.
 */
import { ProviderFailure } from '../errors.ts';
import {
  CircuitBreaker,
  defaultBreakerOptions,
  type BreakerOptions,
  type BreakerCall,
} from './circuit-breaker.ts';
import { isOutage, classifyFailure, type FailureClass } from './classify-failure.ts';
import { defaultCallBudget, AttemptBudget, type CallBudget } from './attempt-budget.ts';

export interface PolicyClock {
  /** ms since the epoch. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** @throws the reason of the signal. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** Many workers may be told to come again at the same moment: each adds up to this share. */
const spread = 0.1;

export interface PolicyOptions {
  readonly budget: CallBudget;
  readonly breaker: BreakerOptions;
  /** How long nothing is sent with a token that was not accepted, or whose credit is spent. */
  readonly blockMs: number;
}

/** What a provider sets otherwise for its own calls. */
export type PolicyOverrides = Partial<Omit<PolicyOptions, 'budget'>> & {
  readonly budget?: Partial<CallBudget>;
};

export const defaultPolicyOptions: PolicyOptions = {
  budget: defaultCallBudget,
  breaker: defaultBreakerOptions,
  blockMs: 60_000,
};

/** How one try went, for whoever counts. */
export interface AttemptRecord {
  readonly ms: number;
  /** null: it was answered. */
  readonly failureClass: FailureClass | null;
  readonly failure: ProviderFailure | null;
}

export interface CallOptions<T> {
  /** Ends everything; `call` then throws its reason. */
  readonly signal: AbortSignal;
  /** No try begins, and none is waited for, after this moment (ms since the epoch). */
  readonly deadline?: number;
  /** Tries that an earlier call with the same inputs has used up. */
  readonly usedAttempts?: number;
  /** After a time-out the caller asks again for each half, with the tries that are left. */
  readonly splitsOnTimeout?: boolean;
  /** Waits for a place at the provider; what it gives back is given up after each try. */
  readonly acquire: () => Promise<() => void>;
  /** One try. @param alive says that the provider is there, where that shows long before the answer. */
  readonly execute: (alive: () => void) => Promise<T>;
  /** @returns the failure as a provider's, or throws what is none. */
  readonly translate: (error: unknown) => ProviderFailure;
  readonly observe: (record: AttemptRecord) => void;
}

export interface CallFailure {
  readonly failure: ProviderFailure;
  readonly failureClass: FailureClass;
  /** Tries that its inputs have used up. */
  readonly usedAttempts: number;
  /** Nothing is left to be tried with the same inputs together. */
  readonly isFinal: boolean;
}

export type CallResult<T> = { readonly answer: T } | CallFailure;

interface Begun {
  readonly permit: BreakerCall;
  readonly release: () => void;
}

/** What all models of one account share: a token that is refused is refused for each of them. */
export class CredentialState {
  private barred: { readonly until: number; readonly failure: ProviderFailure } | null = null;

  block(failure: ProviderFailure, until: number): void {
    this.barred = { failure, until };
  }

  /** Whoever was told of it has had something done about it: it is asked again. */
  unblock(): void {
    this.barred = null;
  }

  /** @returns why nothing may be sent, or null. */
  getBlock(now: number): ProviderFailure | null {
    return this.barred && now < this.barred.until ? this.barred.failure : null;
  }
}

export class CallPolicy {
  private readonly breaker: CircuitBreaker;

  constructor(
    private readonly account: CredentialState,
    private readonly chance: PolicyClock,
    private readonly options: PolicyOptions = defaultPolicyOptions,
  ) {
    this.breaker = new CircuitBreaker(options.breaker);
  }

  /** Work begins that nobody would have begun while its token was known not to serve: one call shall find out. */
  unblockCredential(): void {
    this.account.unblock();
  }

  /** One under the same rules for work that says nothing about this one's provider. */
  createIsolated(): CallPolicy {
    return new CallPolicy(new CredentialState(), this.chance, this.options);
  }

  /** @throws only the reason of an aborted signal, and what `translate` throws. */
  async call<T>(deps: CallOptions<T>): Promise<CallResult<T>> {
    const tries = new AttemptBudget(this.options.budget, deps.usedAttempts);
    for (let inVain = 0; ;) {
      const begun = await this.begin(tries, inVain, deps);
      if ('failure' in begun) return { ...begun, usedAttempts: tries.used, isFinal: true };
      const tried = await this.attempt(begun.permit, deps).finally(begun.release);
      if ('answer' in tried) return tried;
      const { failure } = tried;
      const verdict = classifyFailure(failure);
      if (begun.permit.isProbe) inVain++;
      const pauseMs = tries.getNextPauseMs(
        verdict,
        failure.retryAfterMs,
        this.chance.random(),
        !begun.permit.isProbe,
      );
      const isFinal = pauseMs === null || this.chance.now() + pauseMs > (deps.deadline ?? Infinity);
      const ended = { failure, failureClass: verdict, usedAttempts: tries.used };
      if (isFinal) return { ...ended, isFinal };
      if (pauseMs > 0) await this.chance.wait(pauseMs, deps.signal);
      if (verdict === 'overdue' && deps.splitsOnTimeout) return { ...ended, isFinal };
    }
  }

  /** Leave to call and a place at the provider, at the same moment: neither is held while the other is waited for. */
  private async begin<T>(
    tries: AttemptBudget,
    inVain: number,
    deps: CallOptions<T>,
  ): Promise<Begun | Pick<CallFailure, 'failure' | 'failureClass'>> {
    for (;;) {
      deps.signal.throwIfAborted();
      const release = await deps.acquire();
      const barred = this.account.getBlock(this.chance.now());
      if (barred) {
        release();
        return { failure: barred, failureClass: classifyFailure(barred) };
      }
      const permit = this.breaker.tryBegin(this.chance.now(), inVain);
      if (typeof permit !== 'number') return { permit, release };
      release();
      const failure = await this.untilWorthAsking(permit, tries, deps);
      if (failure) return { failure, failureClass: classifyFailure(failure) };
    }
  }

  private async untilWorthAsking<T>(ms: number, tries: AttemptBudget, deps: CallOptions<T>) {
    const { chance } = this;
    const began = chance.now();
    const { maxWaitMs } = this.options.budget;
    const limit = this.breaker.rateLimit;
    if (limit && ms !== Infinity && !tries.canWaitInline(ms)) return limitedFor(ms, limit);
    const downFor = this.breaker.getOutageMs(began);
    const leftMs = Math.min(maxWaitMs - downFor, (deps.deadline ?? Infinity) - began);
    if (leftMs <= 0 || (ms !== Infinity && ms > leftMs)) return this.notBack(ms);
    const changed = new AbortController();
    const forget = this.breaker.onChange(() => changed.abort());
    try {
      await chance.wait(Math.min(ms, leftMs), AbortSignal.any([deps.signal, changed.signal]));
    } catch {
      deps.signal.throwIfAborted();
    } finally {
      forget();
    }
    return tries.spendWait(chance.now() - began) === null ? this.notBack(ms) : null;
  }

  private notBack(ms: number): ProviderFailure {
    return new ProviderFailure('The provider has not been answering, and was not asked again in time.', {
      code: 'provider_unavailable',
      status: 503,
      retryable: true,
      retryAfterMs: ms === Infinity ? null : ms,
    });
  }

  private async attempt<T>(
    permit: BreakerCall,
    deps: CallOptions<T>,
  ): Promise<{ answer: T } | { failure: ProviderFailure }> {
    const { breaker, chance } = this;
    const began = chance.now();
    try {
      const answer = await deps.execute(() => breaker.recordAnswer(permit));
      breaker.recordAnswer(permit);
      deps.observe({ ms: chance.now() - began, failureClass: null, failure: null });
      return { answer };
    } catch (error) {
      if (deps.signal.aborted) breaker.recordCanceled(permit);
      deps.signal.throwIfAborted();
      const failure = this.translated(error, permit, deps);
      const failureClass = classifyFailure(failure);
      deps.observe({ ms: chance.now() - began, failureClass, failure });
      this.learn(failureClass, failure, permit);
      return { failure };
    }
  }

  private translated<T>(error: unknown, permit: BreakerCall, deps: CallOptions<T>): ProviderFailure {
    try {
      return deps.translate(error);
    } catch (fault) {
      this.breaker.recordCanceled(permit);
      throw fault;
    }
  }

  private learn(verdict: FailureClass, failure: ProviderFailure, permit: BreakerCall): void {
    const now = this.chance.now();
    if (verdict === 'token' || verdict === 'credit') this.account.block(failure, now + this.options.blockMs);
    if (isOutage(verdict)) this.breaker.recordFailure(permit, now, this.chance.random());
    else if (verdict === 'limited')
      this.breaker.pauseUntil(
        permit,
        now + (failure.retryAfterMs ?? 0) * (1 + spread * this.chance.random()),
        failure,
      );
    else if (verdict === 'loading') this.breaker.recordCanceled(permit);
    else this.breaker.recordAnswer(permit);
  }
}

/** What another call was told, for one that was not made. @param ms that are left of the time it named */
const limitedFor = (ms: number, { message, code, status, cause }: ProviderFailure): ProviderFailure =>
  new ProviderFailure(message, { code, status, retryable: true, retryAfterMs: Math.ceil(ms), cause });
