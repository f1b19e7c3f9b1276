/** Pseudo-random numbers that are the same on every machine: only integers and exact arithmetic are used. */

/** @returns the FNV-1a hash of a text (public domain algorithm). */
export function hashSeed(text: string): number {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return state >>> 0;
}

/** mulberry32 (public domain). @returns a function that returns numbers in [-1, 1) */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** @returns a unit vector for the name. Vectors of different names are almost orthogonal. */
export function buildDirection(name: string, dimensions: number): Float64Array {
  const next = createRandom(hashSeed(name));
  return normalize(Float64Array.from({ length: dimensions }, () => next() + next() + next()));
}

export function normalize(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)) || 1;
  return vector.map((value) => value / length);
}
