/** Adapts the size of provider calls: smaller after a call was too large, larger again as calls succeed. */
import type { PackLimits } from '../batches/pack.ts';

/** Consecutive successful calls before the size is doubled. */
const successesUntilGrowth = 8;

export class AdaptivePacking implements PackLimits {
  private share = 1;
  private successes = 0;

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
    this.share = Math.max(1 / maxItems, Math.min(this.share, call.items / maxItems / 2));
  }

  grow(): void {
    if (this.share === 1 || ++this.successes < successesUntilGrowth) return;
    this.successes = 0;
    this.share = Math.min(1, this.share * 2);
  }
}
