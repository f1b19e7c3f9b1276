/**
 * Finds the rate at which a provider accepts calls to one model: additive increase, multiplicative decrease (D. Chiu,
 * R. Jain, "Analysis of the Increase and Decrease Algorithms", 1989). There is no limit until the provider first refuses
 * a call as one too many.
 */

/** The rate is measured over this time. */
const measureMs = 2_000;
/** Share of the rate that is left after a refusal. */
const decrease = 0.9;
/** Share of the rate at the last refusal by which it grows each second. */
const increase = 0.015;
/** After this time without a refusal, the rate grows twice as fast, after twice this time four times, and so on. */
const quietMs = 15_000;
/** After this time without a refusal, the limit is dropped. */
const forgetMs = 300_000;
const minPerSecond = 1 / 60;
const maxPerSecond = 10_000;

export class AdaptiveRate {
  private perSecond: number | null = null;
  /** The rate that the growth is a share of. */
  private base = 0;
  private nextAt = 0;
  private refusedAt = -Infinity;
  private grownAt = -Infinity;
  /** When the calls of the last `measureMs` were accepted. */
  private readonly accepted: number[] = [];
  private firstCallAt: number | null = null;

  /** Calls per second that may be sent. null: no limit is known. */
  get callsPerSecond(): number | null {
    return this.perSecond;
  }

  /** Whether a call was accepted in the last two seconds: a refusal then says that the rate is too high. */
  hasAccepted(now: number): boolean {
    this.prune(now);
    return this.accepted.length > 0;
  }

  /** Takes the next call's time. @returns 0 if the call may be sent now, otherwise the ms after which to ask again. */
  take(now: number): number {
    this.firstCallAt ??= now;
    if (this.perSecond === null) return 0;
    if (now < this.nextAt) return this.nextAt - now;
    const intervalMs = 1_000 / this.perSecond;
    // A timer that fires late does not lower the rate.
    this.nextAt = Math.max(this.nextAt, now - intervalMs) + intervalMs;
    return 0;
  }

  recordAccepted(now: number): void {
    this.accepted.push(now);
    this.prune(now);
    if (this.perSecond === null) return;
    const quiet = now - this.refusedAt;
    if (quiet > forgetMs) {
      this.perSecond = null;
      return;
    }
    if (now - Math.max(this.grownAt, this.refusedAt) < 1_000) return;
    this.grownAt = now;
    const step = this.base * increase * 2 ** Math.min(10, Math.floor(quiet / quietMs));
    this.perSecond = Math.min(maxPerSecond, this.perSecond + step);
  }

  /**
   * Lowers the rate, at most once a second: a provider that counts by the second refuses all calls until the next one.
   * @param startedAt when the refused call was sent: calls from before the last decrease don't count again.
   */
  recordRefused(startedAt: number, now: number): void {
    if (startedAt < this.refusedAt || now - this.refusedAt < 1_000) return;
    const current = this.perSecond ?? this.measure(now);
    this.refusedAt = now;
    this.perSecond = Math.max(minPerSecond, current * decrease);
    this.base = this.perSecond;
    this.nextAt = Math.max(this.nextAt, now + 1_000 / this.perSecond);
  }

  private measure(now: number): number {
    this.prune(now);
    const ms = Math.min(measureMs, Math.max(1_000, now - (this.firstCallAt ?? now)));
    return Math.max(1, (this.accepted.length * 1_000) / ms);
  }

  private prune(now: number): void {
    while (this.accepted.length > 0 && this.accepted[0]! < now - measureMs) this.accepted.shift();
  }
}
