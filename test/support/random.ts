/** Reproducible random inputs: a failing property test prints its seed. */

export interface Random {
  /** An integer from `min` to `max`, both inclusive. */
  int(min: number, max: number): number;
  pick<T>(from: readonly T[]): T;
  /** @param probability 0 to 1. */
  isTrue(probability: number): boolean;
  /** Splits bytes at random positions, sometimes into very small or empty pieces. */
  splitBytes(bytes: Buffer): Buffer[];
}

/** mulberry32 (T. Ettinger, public domain). */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const random: Random = {
    int: (min, max) => min + Math.floor(next() * (max - min + 1)),
    pick: (from) => from[random.int(0, from.length - 1)]!,
    isTrue: (probability) => next() < probability,
    splitBytes(bytes) {
      const pieces: Buffer[] = [];
      for (let from = 0; from < bytes.length;) {
        const length = random.isTrue(0.3) ? random.int(0, 2) : random.int(1, bytes.length);
        pieces.push(bytes.subarray(from, from + length));
        from += length;
      }
      return pieces;
    },
  };
  return random;
}

/** Checks a property for the seeds 1 to `count`. @throws the property's error, with the seed before its message. */
export async function forEachSeed(
  count: number,
  property: (random: Random) => void | Promise<void>,
): Promise<void> {
  for (let seed = 1; seed <= count; seed++) {
    try {
      await property(createRandom(seed));
    } catch (error) {
      (error as Error).message = `seed ${seed}: ${(error as Error).message}`;
      throw error;
    }
  }
}
