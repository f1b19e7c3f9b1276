/**
 * Pools the vectors of a text's tokens into one vector, as the model was trained. Source: Sentence Transformers,
 * `sentence_transformers/models/Pooling.py` and `Normalize.py`. Fewer dimensions (Matryoshka): Kusupati et al. 2022
 * (arXiv:2205.13147), where a prefix of the vector is used, scaled to unit length.
 */
import type { PoolingMode } from './thread-messages.ts';

export interface TokenVectors {
  /** Shape [texts, maxLength, width]. */
  readonly data: Float32Array;
  /** Tokens of the longest text. */
  readonly maxLength: number;
  readonly width: number;
}

/**
 * @param row index of the text.
 * @param from first token that is pooled; those before it belong to a prompt.
 * @param to number of the text's tokens, without padding.
 */
export function pool(
  { data, maxLength, width }: TokenVectors,
  row: number,
  mode: PoolingMode,
  from: number,
  to: number,
): Float32Array {
  const start = row * maxLength * width;
  const getToken = (at: number) => data.subarray(start + at * width, start + (at + 1) * width);
  if (mode === 'cls') return getToken(0).slice();
  if (mode === 'last') return getToken(to - 1).slice();
  const sums = new Float64Array(width).fill(mode === 'max' ? -Infinity : 0);
  for (let at = from; at < to; at++) {
    const vector = getToken(at);
    if (mode === 'max') for (let n = 0; n < width; n++) sums[n] = Math.max(sums[n]!, vector[n]!);
    else for (let n = 0; n < width; n++) sums[n]! += vector[n]!;
  }
  const count = mode === 'max' ? 1 : Math.max(to - from, 1);
  return Float32Array.from(sums, (sum) => sum / count);
}

/** Scales a vector to unit length, in place. A vector of zeros is not changed. */
export function normalize(vector: Float32Array): void {
  let squares = 0;
  for (let at = 0; at < vector.length; at++) squares += vector[at]! * vector[at]!;
  const scale = 1 / (Math.sqrt(squares) || 1);
  for (let at = 0; at < vector.length; at++) vector[at]! *= scale;
}
