/** Adapts the size of provider calls: smaller after a call was too large, larger again as calls succeed. */
import type { PackLimits } from '../batches/pack.ts';

/** Consecutive successful calls before the size is doubled the first time. */
const firstSuccessesUntilGrowth = 8;
/** Each time that a larger size is refused again, this many times as many calls pass before the next growth. */
const growthBackoff = 8;
const maxSuccessesUntilGrowth = 100_000;

export class AdaptivePacking implements PackLimits {
  private share = 1;
  private successes = 0;
  private successesUntilGrowth = firstSuccessesUntilGrowth;
  private hasGrown = false;

  /** @param getLimits current limits of kind and provider. They can change, e.g. once a local model is loaded. */
  constructor(private readonly getLimits: () => PackLimits) {}

  get maxItems(): number {
    return Math.max(1, Math.floor(this.getLimits().maxItems * this.share));
  }

  get maxTokens(): number {
    return Math.max(1, Math.floor(this.getLimits().maxTokens * this.share));
  }

  get sortWithin(): number {
    return this.getLimits().sortWithin ?? 1;
  }

  /** Allows half of the call that was too large. Calls that were packed before the last `shrink` don't count again. */
  shrink(call: { readonly items: number }): void {
    this.successes = 0;
    const { maxItems } = this.getLimits();
    const share = Math.max(1 / maxItems, Math.min(this.share, call.items / maxItems / 2));
    if (share === this.share) return;
    this.share = share;
    if (!this.hasGrown) return;
    this.hasGrown = false;
    this.successesUntilGrowth = Math.min(maxSuccessesUntilGrowth, this.successesUntilGrowth * growthBackoff);
  }

  grow(): void {
    if (this.share === 1 || ++this.successes < this.successesUntilGrowth) return;
    this.successes = 0;
    this.hasGrown = true;
    this.share = Math.min(1, this.share * 2);
  }
}
