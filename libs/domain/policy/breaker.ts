/**
 * Keeps calls away from a provider's model that does not answer, and from one that has said when to come again. When
 * the time is up one call goes first; the others follow when it is answered ("Circuit Breaker", M. Nygard, Release It!).
 */

export interface BreakerOptions {
  /** Failures in a row after which it opens. */
  readonly failures: number;
  /** How long it stays open at first; doubled up to `mostMs` each time that the one that went first fails. */
  readonly openMs: number;
  readonly mostMs: number;
}

export const breakerOptions: BreakerOptions = { failures: 5, openMs: 2_000, mostMs: 60_000 };

/** Leave to make one call. */
export interface Permit {
  /** It goes first, to see whether the provider is back. */
  readonly isFirst: boolean;
}

const ordinary: Permit = { isFirst: false };

export class Breaker {
  private failures = 0;
  private openings = 0;
  private closedUntil = 0;
  private first: Permit | null = null;
  private openSince: number | null = null;
  private isPaused = false;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly options: BreakerOptions = breakerOptions) {}

  /** @returns leave to call now, or ms after which it is worth asking again (Infinity: after a change). */
  ask(now: number): Permit | number {
    if (this.closedUntil === 0) return ordinary;
    if (now < this.closedUntil) return this.closedUntil - now;
    if (this.first) return Infinity;
    return (this.first = { isFirst: true });
  }

  /** ms since the provider was found not to answer; 0 while it does. */
  downFor(now: number): number {
    return this.openSince === null ? 0 : now - this.openSince;
  }

  /** The provider answered: what it said, good or bad, is about the request. */
  answered(permit: Permit): void {
    this.failures = this.openings = 0;
    this.openSince = null;
    // What was under way when the provider said when to come again is answered all the same.
    if (this.isPaused && permit !== this.first) return;
    this.closedUntil = 0;
    this.first = null;
    this.isPaused = false;
    this.tell();
  }

  /** @param random in [0, 1): workers that met the same outage come back apart. */
  failed(permit: Permit, now: number, random: number): void {
    this.failures++;
    const isFirst = permit === this.first;
    if (isFirst) this.first = null;
    if (this.failures >= this.options.failures) {
      // What was under way when it opened says nothing new.
      if (isFirst || this.closedUntil === 0) {
        const longest = Math.min(this.options.mostMs, this.options.openMs * 2 ** this.openings++);
        this.closedUntil = now + longest * (0.5 + random / 2);
        this.openSince ??= now;
      }
    } else if (isFirst) {
      this.closedUntil = 0;
      this.isPaused = false;
    }
    this.tell();
  }

  /** No call goes before `until`, because the provider has said so. */
  pause(permit: Permit, until: number): void {
    this.closedUntil = Math.max(this.closedUntil, until);
    this.isPaused = true;
    this.withdrawn(permit);
  }

  /** The call was taken back before it was answered: nothing was learnt, and another may go first. */
  withdrawn(permit: Permit): void {
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
