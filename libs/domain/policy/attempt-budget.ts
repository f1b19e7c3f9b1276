/** Limits the attempts of one call, and how long it waits for rate limits, outages and models that load. */
import { computeBackoffMs, type RetryPolicy } from './backoff.ts';
import type { FailureClass } from './classify-failure.ts';

export interface CallBudget extends RetryPolicy {
  /** Total wait for rate limits, overload and the circuit breaker. */
  readonly maxWaitMs: number;
  /** Total wait for a model that is loading. */
  readonly maxLoadingMs: number;
  /** How long work without a waiting caller is deferred, from its start. Then its provider's failure is its result. */
  readonly maxDeferralMs: number;
  /** Longest single wait of a call in whose place other work could run. For a longer one the caller defers the work. */
  readonly maxInlineWaitMs: number;
}

export const defaultCallBudget: CallBudget = {
  maxAttempts: 3,
  baseMs: 1_000,
  maxMs: 30_000,
  maxWaitMs: 600_000,
  maxLoadingMs: 300_000,
  maxInlineWaitMs: 5_000,
  maxDeferralMs: 24 * 3_600_000,
};

/** Bounds of the pause between two calls to a model that is loading. */
const loadingPause = { minMs: 5_000, maxMs: 30_000 };

/** A caller that waits gets the error after this many attempts. */
const maxAttemptsOfWaiting = 2;

export interface UsedBudget {
  /** Attempts that an earlier call with these inputs has used. */
  readonly usedAttempts?: number;
  /** How long a waiting caller has patience for the provider, in ms. null: no client waits for the result. */
  readonly patienceMs?: number | null;
  /** Whether work without a waiting caller can be called again later. @default true */
  readonly mayDefer?: boolean;
}

export class AttemptBudget {
  private usedAttempts: number;
  private overloads = 0;
  private waitedMs = 0;
  private loadingMs = 0;
  private readonly patienceMs: number | null;
  /** Whether the work can be called again later. */
  readonly canDefer: boolean;

  constructor(
    private readonly budget: CallBudget,
    { usedAttempts = 0, patienceMs = null, mayDefer = true }: UsedBudget = {},
  ) {
    this.usedAttempts = usedAttempts;
    this.patienceMs = patienceMs;
    this.canDefer = patienceMs === null && mayDefer;
  }

  get used(): number {
    return this.usedAttempts;
  }

  /**
   * Counts a failure. A rate limit needs no pause here, because all calls wait for it together at the circuit breaker.
   * @param counts false for a probe, which uses up no attempt on a transient failure.
   * @returns ms until the next attempt, or null when there is none.
   */
  getNextPauseMs(
    failureClass: FailureClass,
    retryAfterMs: number | null,
    random: number,
    counts = true,
  ): number | null {
    if (failureClass === 'rate_limited') return this.canWaitInline(retryAfterMs ?? 0) ? 0 : null;
    if (failureClass === 'loading') return this.getLoadingPauseMs(retryAfterMs, random);
    if (!['transient', 'timed_out', 'overloaded'].includes(failureClass)) return null;
    const isUncounted = failureClass === 'overloaded' && this.canDefer;
    if (isUncounted) return this.getOverloadPauseMs(retryAfterMs, random);
    if (!counts && failureClass !== 'timed_out') return 0;
    const { maxAttempts } = this.budget;
    const limit = this.patienceMs === null ? maxAttempts : Math.min(maxAttempts, maxAttemptsOfWaiting);
    if (++this.usedAttempts >= limit) return null;
    const backoffMs = computeBackoffMs(this.budget, this.usedAttempts, random);
    const pauseMs =
      retryAfterMs === null ? backoffMs : Math.min(Math.max(backoffMs, retryAfterMs), this.budget.maxWaitMs);
    return this.patienceMs === null || this.canWaitInline(pauseMs) ? pauseMs : null;
  }

  /** Whether the call waits this long. Otherwise a waiting caller gets the error, and other work is deferred. */
  canWaitInline(ms: number): boolean {
    const { maxInlineWaitMs, maxWaitMs } = this.budget;
    if (this.canDefer && ms > maxInlineWaitMs) return false;
    return this.waitedMs + ms <= (this.patienceMs ?? maxWaitMs);
  }

  /** Adds a wait to the total. @returns whether the total is within the budget. */
  spendWait(ms: number): boolean {
    this.waitedMs += ms;
    return this.waitedMs <= (this.patienceMs ?? this.budget.maxWaitMs);
  }

  /** Overload uses up no attempt of work that can be deferred. */
  private getOverloadPauseMs(retryAfterMs: number | null, random: number): number | null {
    const ms = Math.max(computeBackoffMs(this.budget, ++this.overloads, random), retryAfterMs ?? 0);
    return this.canWaitInline(ms) && this.spendWait(ms) ? ms : null;
  }

  private getLoadingPauseMs(retryAfterMs: number | null, random: number): number | null {
    const pauseMs = retryAfterMs ?? loadingPause.minMs * (1 + random);
    const ms = Math.min(Math.max(pauseMs, loadingPause.minMs), loadingPause.maxMs);
    this.loadingMs += ms;
    return this.loadingMs > this.budget.maxLoadingMs ? null : ms;
  }
}
