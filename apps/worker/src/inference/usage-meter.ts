/** Sums what the answers of an attempt used: tokens, media, and the cost that the provider reports. */
import type { Usage } from '#catalogue';
import type { Metering } from '#database';
import { billionthsPerDollar, type Prices } from '#domain';

type CostMetering = Pick<
  Metering,
  'images' | 'mediaMs' | 'reportedCost' | 'reportedRequests' | 'estimatedCost'
>;

export class UsageMeter {
  inputTokens = 0;
  outputTokens = 0;
  private calls = 0;
  private images = 0;
  private seconds = 0;
  private reportedDollars = 0;
  private reportedRequests = 0;

  /** Adds one answer. */
  add({ inputTokens, outputTokens, images = 0, seconds = 0, cost }: Usage): void {
    this.calls++;
    this.inputTokens += inputTokens;
    this.outputTokens += outputTokens;
    this.images += images;
    this.seconds += seconds;
    if (cost === undefined) return;
    this.reportedDollars += cost;
    this.reportedRequests++;
  }

  /** Reported and estimated cost are kept apart: neither is ever computed from the other. */
  toMetering(model: string, prices: Prices): CostMetering {
    const { calls, inputTokens, outputTokens, images, reportedRequests } = this;
    const mediaMs = Math.round(this.seconds * 1_000);
    return {
      images,
      mediaMs,
      reportedCost: reportedRequests > 0 ? Math.round(this.reportedDollars * billionthsPerDollar) : null,
      reportedRequests,
      estimatedCost: prices.estimate(model, { calls, inputTokens, outputTokens, images, mediaMs }),
    };
  }
}
