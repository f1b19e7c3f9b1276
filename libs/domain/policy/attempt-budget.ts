/** Limits the attempts of one call, and the total time it waits for rate limits, outages and models that load. */
import { computeBackoffMs, type RetryPolicy } from './backoff.ts';
import type { FailureClass } from './classify-failure.ts';

export interface CallBudget extends RetryPolicy {
  /** Total wait for rate limits and for the circuit breaker. */
  readonly maxWaitMs: number;
  /** Total wait for a model that is loading. */
  readonly maxLoadingMs: number;
  /** Longest rate limit that a call waits for. For a longer one the caller defers the work. */
  readonly maxInlineWaitMs: number;
}

export const defaultCallBudget: CallBudget = {
  maxAttempts: 3,
  baseMs: 1_000,
  maxMs: 30_000,
  maxWaitMs: 600_000,
  maxLoadingMs: 300_000,
  maxInlineWaitMs: 5_000,
};

/** Bounds of the pause between two calls to a model that is loading. */
const loadingPause = { minMs: 5_000, maxMs: 30_000 };

export class AttemptBudget {
  private usedAttempts = 0;
  private waitedMs = 0;
  private loadingMs = 0;

  /** @param used attempts that an earlier call with these inputs has used. */
  constructor(
    private readonly budget: CallBudget,
    used = 0,
  ) {
    this.usedAttempts = used;
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
    if (failureClass !== 'transient' && failureClass !== 'timed_out') return null;
    if (!counts && failureClass === 'transient') return 0;
    if (++this.usedAttempts >= this.budget.maxAttempts) return null;
    const pauseMs = computeBackoffMs(this.budget, this.usedAttempts, random);
    return retryAfterMs === null ? pauseMs : Math.min(Math.max(pauseMs, retryAfterMs), this.budget.maxWaitMs);
  }

  /** Whether the call waits for a rate limit of this length. Otherwise the caller defers the work. */
  canWaitInline(ms: number): boolean {
    return ms <= this.budget.maxInlineWaitMs && this.waitedMs + ms <= this.budget.maxWaitMs;
  }

  /** Adds a wait to the total. @returns `ms`, or null when the total is above the budget. */
  spendWait(ms: number): number | null {
    this.waitedMs += ms;
    return this.waitedMs > this.budget.maxWaitMs ? null : ms;
  }

  private getLoadingPauseMs(retryAfterMs: number | null, random: number): number | null {
    const pauseMs = retryAfterMs ?? loadingPause.minMs * (1 + random);
    const ms = Math.min(Math.max(pauseMs, loadingPause.minMs), loadingPause.maxMs);
    this.loadingMs += ms;
    return this.loadingMs > this.budget.maxLoadingMs ? null : ms;
  }
}
