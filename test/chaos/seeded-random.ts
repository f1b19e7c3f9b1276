/** The only random source of a fault run: the same seed gives the same choices. */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, inclusive. */
  between(low: number, high: number): number;
  /** @throws RangeError if there are no items. */
  pick<T>(items: readonly T[]): T;
}

/** mulberry32, T. Ettinger, 2017 (public domain): 32 bits of state, enough to choose which process to kill. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick(items) {
      if (items.length === 0) throw new RangeError('no items to pick from');
      return items[Math.floor(next() * items.length)]!;
    },
  };
}
