/**
 * One model of one provider as this process has come to know it, and the policy around each call to it: when it may
 * go, what its failure calls for, and when it goes again. Time and chance are given, so that tests can set them.
 */
import { ProviderFailure } from '../errors.ts';
import { Breaker, breakerOptions, type BreakerOptions, type Permit } from './breaker.ts';
import { isOutage, judge, type Verdict } from './judge.ts';
import { callBudget, Tries, type CallBudget } from './tries.ts';

export interface Chance {
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
  readonly barredMs: number;
}

/** What a provider sets otherwise for its own calls. */
export type PolicyOverrides = Partial<Omit<PolicyOptions, 'budget'>> & {
  readonly budget?: Partial<CallBudget>;
};

export const policyOptions: PolicyOptions = { budget: callBudget, breaker: breakerOptions, barredMs: 60_000 };

/** How one try went, for whoever counts. */
export interface TryRecord {
  readonly ms: number;
  /** null: it was answered. */
  readonly verdict: Verdict | null;
  readonly failure: ProviderFailure | null;
}

export interface CallOptions<T> {
  /** Ends everything; `call` then throws its reason. */
  readonly signal: AbortSignal;
  /** No try begins, and none is waited for, after this moment (ms since the epoch). */
  readonly deadline?: number;
  /** Tries that an earlier call with the same inputs has used up. */
  readonly used?: number;
  /** After a time-out the caller asks again for each half, with the tries that are left. */
  readonly inHalves?: boolean;
  /** Waits for a place at the provider; what it gives back is given up after each try. */
  readonly turn: () => Promise<() => void>;
  /** One try. @param alive says that the provider is there, where that shows long before the answer. */
  readonly attempt: (alive: () => void) => Promise<T>;
  /** @returns the failure as a provider's, or throws what is none. */
  readonly translate: (error: unknown) => ProviderFailure;
  readonly observe: (record: TryRecord) => void;
}

export interface Refusal {
  readonly failure: ProviderFailure;
  readonly verdict: Verdict;
  /** Tries that its inputs have used up. */
  readonly used: number;
  /** Nothing is left to be tried with the same inputs together. */
  readonly isOver: boolean;
}

export type Called<T> = { readonly answer: T } | Refusal;

interface Begun {
  readonly permit: Permit;
  readonly release: () => void;
}

/** What all models of one account share: a token that is refused is refused for each of them. */
export class Account {
  private barred: { readonly until: number; readonly failure: ProviderFailure } | null = null;

  bar(failure: ProviderFailure, until: number): void {
    this.barred = { failure, until };
  }

  /** Whoever was told of it has had something done about it: it is asked again. */
  lift(): void {
    this.barred = null;
  }

  /** @returns why nothing may be sent, or null. */
  reason(now: number): ProviderFailure | null {
    return this.barred && now < this.barred.until ? this.barred.failure : null;
  }
}

export class Upstream {
  private readonly breaker: Breaker;

  constructor(
    private readonly account: Account,
    private readonly chance: Chance,
    private readonly options: PolicyOptions = policyOptions,
  ) {
    this.breaker = new Breaker(options.breaker);
  }

  /** Work begins that nobody would have begun while its token was known not to serve: one call shall find out. */
  askAnew(): void {
    this.account.lift();
  }

  /** One under the same rules for work that says nothing about this one's provider. */
  apart(): Upstream {
    return new Upstream(new Account(), this.chance, this.options);
  }

  /** @throws only the reason of an aborted signal, and what `translate` throws. */
  async call<T>(on: CallOptions<T>): Promise<Called<T>> {
    const tries = new Tries(this.options.budget, on.used);
    for (let inVain = 0; ;) {
      const begun = await this.begin(tries, inVain, on);
      if ('failure' in begun) return { ...begun, used: tries.used, isOver: true };
      const tried = await this.attempt(begun.permit, on).finally(begun.release);
      if ('answer' in tried) return tried;
      const { failure } = tried;
      const verdict = judge(failure);
      if (begun.permit.isFirst) inVain++;
      const pauseMs = tries.next(verdict, failure.retryAfterMs, this.chance.random(), !begun.permit.isFirst);
      const isOver = pauseMs === null || this.chance.now() + pauseMs > (on.deadline ?? Infinity);
      const ended = { failure, verdict, used: tries.used };
      if (isOver) return { ...ended, isOver };
      if (pauseMs > 0) await this.chance.wait(pauseMs, on.signal);
      if (verdict === 'overdue' && on.inHalves) return { ...ended, isOver };
    }
  }

  /** Leave to call and a place at the provider, at the same moment: neither is held while the other is waited for. */
  private async begin<T>(
    tries: Tries,
    inVain: number,
    on: CallOptions<T>,
  ): Promise<Begun | Pick<Refusal, 'failure' | 'verdict'>> {
    for (;;) {
      on.signal.throwIfAborted();
      const release = await on.turn();
      const barred = this.account.reason(this.chance.now());
      if (barred) {
        release();
        return { failure: barred, verdict: judge(barred) };
      }
      const permit = this.breaker.ask(this.chance.now(), inVain);
      if (typeof permit !== 'number') return { permit, release };
      release();
      const failure = await this.untilWorthAsking(permit, tries, on);
      if (failure) return { failure, verdict: judge(failure) };
    }
  }

  private async untilWorthAsking<T>(ms: number, tries: Tries, on: CallOptions<T>) {
    const { chance } = this;
    const began = chance.now();
    const { patienceMs } = this.options.budget;
    const limit = this.breaker.limitedBy;
    if (limit && ms !== Infinity && !tries.isWorthHolding(ms)) return limitedFor(ms, limit);
    const downFor = this.breaker.downFor(began);
    const leftMs = Math.min(patienceMs - downFor, (on.deadline ?? Infinity) - began);
    if (leftMs <= 0 || (ms !== Infinity && ms > leftMs)) return this.notBack(ms);
    const changed = new AbortController();
    const forget = this.breaker.onChange(() => changed.abort());
    try {
      await chance.wait(Math.min(ms, leftMs), AbortSignal.any([on.signal, changed.signal]));
    } catch {
      on.signal.throwIfAborted();
    } finally {
      forget();
    }
    return tries.wait(chance.now() - began) === null ? this.notBack(ms) : null;
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
    permit: Permit,
    on: CallOptions<T>,
  ): Promise<{ answer: T } | { failure: ProviderFailure }> {
    const { breaker, chance } = this;
    const began = chance.now();
    try {
      const answer = await on.attempt(() => breaker.answered(permit));
      breaker.answered(permit);
      on.observe({ ms: chance.now() - began, verdict: null, failure: null });
      return { answer };
    } catch (error) {
      if (on.signal.aborted) breaker.withdrawn(permit);
      on.signal.throwIfAborted();
      const failure = this.translated(error, permit, on);
      const verdict = judge(failure);
      on.observe({ ms: chance.now() - began, verdict, failure });
      this.learn(verdict, failure, permit);
      return { failure };
    }
  }

  private translated<T>(error: unknown, permit: Permit, on: CallOptions<T>): ProviderFailure {
    try {
      return on.translate(error);
    } catch (fault) {
      this.breaker.withdrawn(permit);
      throw fault;
    }
  }

  private learn(verdict: Verdict, failure: ProviderFailure, permit: Permit): void {
    const now = this.chance.now();
    if (verdict === 'token' || verdict === 'credit') this.account.bar(failure, now + this.options.barredMs);
    if (isOutage(verdict)) this.breaker.failed(permit, now, this.chance.random());
    else if (verdict === 'limited')
      this.breaker.pause(
        permit,
        now + (failure.retryAfterMs ?? 0) * (1 + spread * this.chance.random()),
        failure,
      );
    else if (verdict === 'loading') this.breaker.withdrawn(permit);
    else this.breaker.answered(permit);
  }
}

/** What another call was told, for one that was not made. @param ms that are left of the time it named */
const limitedFor = (ms: number, { message, code, status, cause }: ProviderFailure): ProviderFailure =>
  new ProviderFailure(message, { code, status, retryable: true, retryAfterMs: Math.ceil(ms), cause });
