/**
 * Keeps calls away from a provider's model that does not answer, and from one that has said when to come again. When
 * the time is up one call goes first; the others follow when it is answered ("Circuit Breaker", M. Nygard, Release It!).
 * One that went first in vain lets others go before it the next time: the fault may be its own.
 */
import type { ProviderFailure } from '../errors.ts';

export interface BreakerOptions {
  /** Failures in a row after which it opens. */
  readonly maxFailures: number;
  /** How long it stays open at first; doubled up to `mostMs` each time that the one that went first fails. */
  readonly openMs: number;
  readonly maxOpenMs: number;
}

export const defaultBreakerOptions: BreakerOptions = { maxFailures: 5, openMs: 2_000, maxOpenMs: 60_000 };

/** Leave to make one call. */
export interface BreakerCall {
  /** It goes first, to see whether the provider is back. */
  readonly isProbe: boolean;
}

/** So much later than others asks again who went first in vain, each time that it did. */
const headStartMs = 20;

const ordinary: BreakerCall = { isProbe: false };

export class CircuitBreaker {
  private failures = 0;
  private openings = 0;
  private closedUntil = 0;
  private first: BreakerCall | null = null;
  private openSince: number | null = null;
  private limit: ProviderFailure | null = null;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly options: BreakerOptions = defaultBreakerOptions) {}

  /**
   * @param inVain times that who asks went first and failed.
   * @returns leave to call now, or ms after which it is worth asking again (Infinity: after a change).
   */
  tryBegin(now: number, inVain = 0): BreakerCall | number {
    if (this.closedUntil === 0) return ordinary;
    const from = this.closedUntil + inVain * headStartMs;
    if (now < from) return from - now;
    if (this.first) return Infinity;
    return (this.first = { isProbe: true });
  }

  /** What the provider said when it named the time that is waited for; null where it is down, or well. */
  get rateLimit(): ProviderFailure | null {
    return this.limit;
  }

  /** ms since the provider was found not to answer; 0 while it does. */
  getOutageMs(now: number): number {
    return this.openSince === null ? 0 : now - this.openSince;
  }

  /** The provider answered: what it said, good or bad, is about the request. */
  recordAnswer(permit: BreakerCall): void {
    this.failures = this.openings = 0;
    this.openSince = null;
    // What was under way when the provider said when to come again is answered all the same.
    if (this.limit && permit !== this.first) return;
    this.closedUntil = 0;
    this.first = null;
    this.limit = null;
    this.tell();
  }

  /** @param random in [0, 1): workers that met the same outage come back apart. */
  recordFailure(permit: BreakerCall, now: number, random: number): void {
    this.failures++;
    const isFirst = permit === this.first;
    if (isFirst) this.first = null;
    if (this.failures >= this.options.maxFailures) {
      // What was under way when it opened says nothing new.
      if (isFirst || this.closedUntil === 0) {
        const longest = Math.min(this.options.maxOpenMs, this.options.openMs * 2 ** this.openings++);
        this.closedUntil = now + longest * (0.5 + random / 2);
        this.openSince ??= now;
      }
    } else if (isFirst) {
      this.closedUntil = 0;
      this.limit = null;
    }
    this.tell();
  }

  /** No call goes before `until`, because the provider has said so. @param limit its words */
  pauseUntil(permit: BreakerCall, until: number, limit: ProviderFailure): void {
    this.closedUntil = Math.max(this.closedUntil, until);
    this.limit = limit;
    this.recordCanceled(permit);
  }

  /** The call was taken back before it was answered: nothing was learnt, and another may go first. */
  recordCanceled(permit: BreakerCall): void {
    if (permit === this.first) this.first = null;
    this.tell();
  }

  /** @param listener called when the answer to `ask` may have changed. @returns what takes it away. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}
