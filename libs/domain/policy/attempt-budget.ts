/** How often one call may be tried, and how long it may wait in all for what is no fault of its own. */
import { computeBackoffMs, type RetryPolicy } from './backoff.ts';
import type { FailureClass } from './classify-failure.ts';

export interface CallBudget extends RetryPolicy {
  /** What all waits for a rate limit, or for a breaker to close, may come to. */
  readonly maxWaitMs: number;
  /** What all waits for a model that is being loaded may come to. */
  readonly maxLoadingMs: number;
  /** A longer `Retry-After` is not waited for with the work in hand: its caller puts the work off. */
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

/** A model that loads is asked for again after so long, within these bounds. */
const loading = { leastMs: 5_000, mostMs: 30_000 };

export class AttemptBudget {
  private failed = 0;
  private waitedMs = 0;
  private loadedMs = 0;

  /** @param used tries that an earlier call with these inputs has used up. */
  constructor(
    private readonly budget: CallBudget,
    used = 0,
  ) {
    this.failed = used;
  }

  get used(): number {
    return this.failed;
  }

  /**
   * Counts a failure. @returns ms until the next try, or null when there is none. A rate limit is waited for by all
   * calls together, at the breaker: here it is only asked whether it is worth holding the work for.
   * @param counts false for a try that only probed whether the provider is back.
   */
  getNextPauseMs(
    verdict: FailureClass,
    retryAfterMs: number | null,
    random: number,
    counts = true,
  ): number | null {
    if (verdict === 'limited') return this.canWaitInline(retryAfterMs ?? 0) ? 0 : null;
    if (verdict === 'loading') return this.load(retryAfterMs, random);
    if (verdict !== 'transient' && verdict !== 'overdue') return null;
    if (!counts && verdict === 'transient') return 0;
    if (++this.failed >= this.budget.maxAttempts) return null;
    const pauseMs = computeBackoffMs(this.budget, this.failed, random);
    return retryAfterMs === null ? pauseMs : Math.min(Math.max(pauseMs, retryAfterMs), this.budget.maxWaitMs);
  }

  /** Whether the work is kept in hand for a rate limit of so many ms. */
  canWaitInline(ms: number): boolean {
    return ms <= this.budget.maxInlineWaitMs && this.waitedMs + ms <= this.budget.maxWaitMs;
  }

  /** Spends patience. @returns `ms`, or null when that much is not left. */
  spendWait(ms: number): number | null {
    this.waitedMs += ms;
    return this.waitedMs > this.budget.maxWaitMs ? null : ms;
  }

  private load(retryAfterMs: number | null, random: number): number | null {
    const guess = retryAfterMs ?? loading.leastMs * (1 + random);
    const ms = Math.min(Math.max(guess, loading.leastMs), loading.mostMs);
    this.loadedMs += ms;
    return this.loadedMs > this.budget.maxLoadingMs ? null : ms;
  }
}
