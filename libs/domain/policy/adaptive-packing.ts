/** How much goes into one call: less after one that was too much for the provider, more again as calls succeed. */
import type { PackLimits } from '../batches/pack.ts';

/** Calls that succeed in a row before more is tried again. */
const callsUntilGrowth = 8;

export class AdaptivePacking implements PackLimits {
  private share = 1;
  private succeeded = 0;

  /** @param limits bounds that the kind and the provider name now (a model that is loaded may know better). */
  constructor(private readonly limits: () => PackLimits) {}

  private get most(): PackLimits {
    return this.limits();
  }

  get maxItems(): number {
    return Math.max(1, Math.floor(this.most.maxItems * this.share));
  }

  get maxTokens(): number {
    return Math.max(1, Math.floor(this.most.maxTokens * this.share));
  }

  get sortWithin(): number {
    return this.most.sortWithin ?? 1;
  }

  /** Half of the call that was too much; calls that were packed before are not counted twice. */
  shrink(call: { readonly items: number }): void {
    this.succeeded = 0;
    const least = 1 / this.most.maxItems;
    this.share = Math.max(least, Math.min(this.share, call.items / this.most.maxItems / 2));
  }

  grow(): void {
    if (this.share === 1 || ++this.succeeded < callsUntilGrowth) return;
    this.succeeded = 0;
    this.share = Math.min(1, this.share * 2);
  }
}
