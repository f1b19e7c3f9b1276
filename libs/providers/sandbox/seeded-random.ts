/** Random numbers that are the same for the same text. */

/** Seeds a mulberry32 generator with the text's FNV-1a hash (both public domain). @returns numbers from 0 to 1 */
export function createSeededRandom(text: string): () => number {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @returns a score from 0.5 to 1, as a model gives to its best answer. */
export const computeScore = (text: string): number =>
  0.5 + Math.round(createSeededRandom(text)() * 4_999) / 10_000;
