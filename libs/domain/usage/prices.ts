/** What requests cost by a table of prices: an estimate, for what a provider does not say itself. */

/** In US dollars; what is left out costs nothing. */
export interface Price {
  /** Of a million. */
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
  /** Of one that is made. */
  readonly image?: number | undefined;
  /** Of sound or film that is made, or listened to. */
  readonly second?: number | undefined;
  /** Of a request that is answered. */
  readonly call?: number | undefined;
}

export interface UsageAmounts {
  /** Requests that were answered. */
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly images: number;
  readonly mediaMs: number;
}

/** Of a US dollar: sums of whole numbers are exact, in whatever order they are made. */
export const billionthsPerDollar = 1e9;

interface Rule {
  readonly matches: (model: string) => boolean;
  readonly price: Price;
}

export class Prices {
  private readonly exact: ReadonlyMap<string, Price>;
  private readonly rules: readonly Rule[];

  /** @param table prices by model, `provider/model-id`; a `*` stands for any text. */
  constructor(table: Readonly<Record<string, Price>> = {}) {
    const entries = Object.entries(table);
    this.exact = new Map(entries.filter(([name]) => !name.includes('*')));
    this.rules = entries
      .filter(([name]) => name.includes('*'))
      .sort(([one], [other]) => literal(other) - literal(one))
      .map(([name, price]) => ({ matches: matcherOf(name), price }));
  }

  /** The model's own price, else that of the pattern that says most of its name; null where none fits. */
  find(model: string): Price | null {
    return this.exact.get(model) ?? this.rules.find(({ matches }) => matches(model))?.price ?? null;
  }

  /** @returns whole billionths of a US dollar; null where the model has no price. */
  estimate(model: string, used: UsageAmounts): number | null {
    const price = this.find(model);
    if (!price) return null;
    const { inputTokens = 0, outputTokens = 0, image = 0, second = 0, call = 0 } = price;
    const dollars =
      (used.inputTokens * inputTokens + used.outputTokens * outputTokens) / 1e6 +
      used.images * image +
      (used.mediaMs / 1_000) * second +
      used.calls * call;
    return Math.round(dollars * billionthsPerDollar);
  }
}

/** Characters that a pattern names. */
const literal = (name: string) => name.replaceAll('*', '').length;

function matcherOf(name: string): Rule['matches'] {
  const parts = name.split('*').map((part) => part.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&'));
  const pattern = new RegExp(`^${parts.join('.*')}$`, 's');
  return (model) => pattern.test(model);
}
