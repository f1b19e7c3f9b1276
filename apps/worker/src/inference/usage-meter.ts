/** What an attempt's answers have used, summed: tokens, media, and what the provider says that it charges for them. */
import type { Usage } from '#catalogue';
import type { Metering } from '#database';
import { billionths, type Prices } from '#domain';

type Bill = Pick<Metering, 'images' | 'mediaMs' | 'reportedCost' | 'reportedRequests' | 'estimatedCost'>;

export class UsageMeter {
  inputTokens = 0;
  outputTokens = 0;
  private calls = 0;
  private images = 0;
  private seconds = 0;
  private dollars = 0;
  private reported = 0;

  /** One answer. */
  add({ inputTokens, outputTokens, images = 0, seconds = 0, cost }: Usage): void {
    this.calls++;
    this.inputTokens += inputTokens;
    this.outputTokens += outputTokens;
    this.images += images;
    this.seconds += seconds;
    if (cost === undefined) return;
    this.dollars += cost;
    this.reported++;
  }

  /** What is reported and what is estimated stand side by side: neither is ever made of the other. */
  toMetering(model: string, prices: Prices): Bill {
    const { calls, inputTokens, outputTokens, images, reported } = this;
    const mediaMs = Math.round(this.seconds * 1_000);
    return {
      images,
      mediaMs,
      reportedCost: reported > 0 ? Math.round(this.dollars * billionths) : null,
      reportedRequests: reported,
      estimatedCost: prices.estimate(model, { calls, inputTokens, outputTokens, images, mediaMs }),
    };
  }
}
