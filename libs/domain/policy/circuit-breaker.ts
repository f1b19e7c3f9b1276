/**
 * Stops calls to a model that does not answer, or whose provider has set a rate limit. When the wait is over, one call
 * probes the provider (half-open) and the others follow once it is answered ("Circuit Breaker", M. Nygard, Release It!).
 * A caller whose probe failed waits a little longer the next time, because its input may be the cause.
 */
import type { ProviderFailure } from '../errors.ts';

export interface BreakerOptions {
  /** Consecutive failures that open the breaker. */
  readonly maxFailures: number;
  /** How long it stays open the first time. Doubled up to `maxOpenMs` each time a probe fails. */
  readonly openMs: number;
  readonly maxOpenMs: number;
}

export const defaultBreakerOptions: BreakerOptions = { maxFailures: 5, openMs: 2_000, maxOpenMs: 60_000 };

/** Allows one call. The caller reports its result with this object. */
export interface BreakerCall {
  /** Whether this call is the half-open probe. */
  readonly isProbe: boolean;
}

/** Extra delay after each failed probe, so that another caller probes next. */
const failedProbeDelayMs = 20;

const ordinaryCall: BreakerCall = { isProbe: false };

export class CircuitBreaker {
  private failures = 0;
  private openings = 0;
  /** No call before this time (ms since the epoch). 0: the breaker is closed and all calls are allowed. */
  private openUntil = 0;
  private probe: BreakerCall | null = null;
  private openSince: number | null = null;
  private activeRateLimit: ProviderFailure | null = null;
  private newestFailure: ProviderFailure | null = null;
  private refusals = 0;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly options: BreakerOptions = defaultBreakerOptions) {}

  /**
   * @param failedProbes number of this caller's probes that failed.
   * @returns permission to call now, or the ms after which to ask again (Infinity: after `onChange`).
   */
  tryBegin(now: number, failedProbes = 0): BreakerCall | number {
    if (this.openUntil === 0) return ordinaryCall;
    const probeFrom = this.openUntil + failedProbes * failedProbeDelayMs;
    if (now < probeFrom) return probeFrom - now;
    if (this.probe) return Infinity;
    return (this.probe = { isProbe: true });
  }

  /** The rate limit that calls wait for. null during an outage and while calls are allowed. */
  get rateLimit(): ProviderFailure | null {
    return this.activeRateLimit;
  }

  /** What the provider answered last, while calls are not allowed. null while they are. */
  get lastFailure(): ProviderFailure | null {
    return this.openUntil === 0 ? null : (this.activeRateLimit ?? this.newestFailure);
  }

  /** Number of rate limits since the last answer. */
  get consecutiveRateLimits(): number {
    return this.refusals;
  }

  /** ms until calls are allowed again. 0 while they are. */
  getOpenMs(now: number): number {
    return Math.max(0, this.openUntil - now);
  }

  /** Duration of the current outage in ms. 0 while the provider answers. */
  getOutageMs(now: number): number {
    return this.openSince === null ? 0 : now - this.openSince;
  }

  /** The provider answered. Any answer counts, also an error about the request. */
  recordAnswer(call: BreakerCall): void {
    this.failures = this.openings = this.refusals = 0;
    this.openSince = null;
    // Calls that were sent before the rate limit are still answered. They don't end it.
    if (this.activeRateLimit && call !== this.probe) return;
    this.openUntil = 0;
    this.probe = null;
    this.activeRateLimit = null;
    this.notify();
  }

  /** @param random in [0, 1), so that workers with the same outage don't probe at the same moment. */
  recordFailure(call: BreakerCall, now: number, random: number, failure: ProviderFailure): void {
    this.failures++;
    this.newestFailure = failure;
    const isProbe = call === this.probe;
    if (isProbe) this.probe = null;
    if (this.failures >= this.options.maxFailures) {
      // A call that was sent before the breaker opened adds no new information.
      if (isProbe || this.openUntil === 0) {
        const boundMs = Math.min(this.options.maxOpenMs, this.options.openMs * 2 ** this.openings++);
        this.openUntil = now + boundMs * (0.5 + random / 2);
        this.openSince ??= now;
      }
    } else if (isProbe) {
      this.openUntil = 0;
      this.activeRateLimit = null;
    }
    this.notify();
  }

  /** Blocks calls until `until`, the end of the provider's rate limit. @param rateLimit the provider's error */
  pauseUntil(call: BreakerCall, until: number, rateLimit: ProviderFailure): void {
    this.openUntil = Math.max(this.openUntil, until);
    this.activeRateLimit = rateLimit;
    this.refusals++;
    this.recordCanceled(call);
  }

  /** The call ended without an answer from the provider. If it was the probe, another call may probe. */
  recordCanceled(call: BreakerCall): void {
    if (call === this.probe) this.probe = null;
    this.notify();
  }

  /** @param listener called when the result of `tryBegin` may have changed. @returns a function that removes it. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private notify(): void {
    for (const listener of [...this.listeners]) listener();
  }
}
