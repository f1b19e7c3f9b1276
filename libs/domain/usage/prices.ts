/** Estimates the cost of requests from a table of prices, for providers that don't report a cost. */

/** In US dollars. A missing field costs nothing. */
export interface Price {
  /** Per million tokens. */
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
  /** Per generated image. */
  readonly image?: number | undefined;
  /** Per second of generated audio or video, or of transcribed audio. */
  readonly second?: number | undefined;
  /** Per answered request. */
  readonly call?: number | undefined;
}

export interface UsageAmounts {
  /** Answered requests. */
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly images: number;
  readonly mediaMs: number;
}

/** Costs are stored in whole billionths of a US dollar, so that sums are exact in any order. */
export const billionthsPerDollar = 1e9;

interface PriceRule {
  readonly matches: (model: string) => boolean;
  readonly price: Price;
}

export class Prices {
  private readonly exact: ReadonlyMap<string, Price>;
  private readonly rules: readonly PriceRule[];

  /** @param table prices by model name, `provider/model-id`. `*` matches any text. */
  constructor(table: Readonly<Record<string, Price>> = {}) {
    const entries = Object.entries(table);
    this.exact = new Map(entries.filter(([name]) => !name.includes('*')));
    this.rules = entries
      .filter(([name]) => name.includes('*'))
      .sort(([one], [other]) => countLiterals(other) - countLiterals(one))
      .map(([name, price]) => ({ matches: buildMatcher(name), price }));
  }

  /** @returns the price of this exact name, otherwise of the most specific pattern, otherwise null. */
  find(model: string): Price | null {
    return this.exact.get(model) ?? this.rules.find(({ matches }) => matches(model))?.price ?? null;
  }

  /** @returns whole billionths of a US dollar, or null when the model has no price. */
  estimate(model: string, usage: UsageAmounts): number | null {
    const price = this.find(model);
    if (!price) return null;
    const { inputTokens = 0, outputTokens = 0, image = 0, second = 0, call = 0 } = price;
    const dollars =
      (usage.inputTokens * inputTokens + usage.outputTokens * outputTokens) / 1e6 +
      usage.images * image +
      (usage.mediaMs / 1_000) * second +
      usage.calls * call;
    return Math.round(dollars * billionthsPerDollar);
  }
}

/** The number of literal characters in a pattern: more of them make it more specific. */
const countLiterals = (pattern: string) => pattern.replaceAll('*', '').length;

function buildMatcher(name: string): PriceRule['matches'] {
  const parts = name.split('*').map((part) => part.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&'));
  const pattern = new RegExp(`^${parts.join('.*')}$`, 's');
  return (model) => pattern.test(model);
}
