/** How often one call may be tried, and how long it may wait in all for what is no fault of its own. */
import { backoffMs, type RetryPolicy } from '../batches/retry.ts';
import type { Verdict } from './judge.ts';

export interface CallBudget extends RetryPolicy {
  /** What all waits for a rate limit, or for a breaker to close, may come to. */
  readonly patienceMs: number;
  /** What all waits for a model that is being loaded may come to. */
  readonly loadingMs: number;
  /** A longer `Retry-After` is not waited for with the work in hand: its caller puts the work off. */
  readonly holdMs: number;
}

export const callBudget: CallBudget = {
  tries: 3,
  baseMs: 1_000,
  maxMs: 30_000,
  patienceMs: 600_000,
  loadingMs: 300_000,
  holdMs: 5_000,
};

/** A model that loads is asked for again after so long, within these bounds. */
const loading = { leastMs: 5_000, mostMs: 30_000 };

export class Tries {
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
  next(verdict: Verdict, retryAfterMs: number | null, random: number, counts = true): number | null {
    if (verdict === 'limited') return this.isWorthHolding(retryAfterMs ?? 0) ? 0 : null;
    if (verdict === 'loading') return this.load(retryAfterMs, random);
    if (verdict !== 'transient' && verdict !== 'overdue') return null;
    if (!counts && verdict === 'transient') return 0;
    if (++this.failed >= this.budget.tries) return null;
    const pauseMs = backoffMs(this.budget, this.failed, random);
    return retryAfterMs === null
      ? pauseMs
      : Math.min(Math.max(pauseMs, retryAfterMs), this.budget.patienceMs);
  }

  /** Whether the work is kept in hand for a rate limit of so many ms. */
  isWorthHolding(ms: number): boolean {
    return ms <= this.budget.holdMs && this.waitedMs + ms <= this.budget.patienceMs;
  }

  /** Spends patience. @returns `ms`, or null when that much is not left. */
  wait(ms: number): number | null {
    this.waitedMs += ms;
    return this.waitedMs > this.budget.patienceMs ? null : ms;
  }

  private load(retryAfterMs: number | null, random: number): number | null {
    const guess = retryAfterMs ?? loading.leastMs * (1 + random);
    const ms = Math.min(Math.max(guess, loading.leastMs), loading.mostMs);
    this.loadedMs += ms;
    return this.loadedMs > this.budget.loadingMs ? null : ms;
  }
}
