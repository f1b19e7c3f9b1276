/**
 * From a vector for each token to one for the text, as the model was trained.
 * Source: Sentence Transformers, `sentence_transformers/models/Pooling.py` and `Normalize.py`; Matryoshka cutting:
 * Kusupati et al. 2022 (arXiv:2205.13147), where a prefix of the vector is used, at unit length.
 */
import type { PoolingMode } from './thread-messages.ts';

export interface TokenVectors {
  /** [texts, longest, width] */
  readonly data: Float32Array;
  readonly longest: number;
  readonly width: number;
}

/**
 * @param from first token of the text that counts: those before it are a prompt's
 * @param to tokens of the text, padding left out
 */
export function pool(
  { data, longest, width }: TokenVectors,
  row: number,
  mode: PoolingMode,
  from: number,
  to: number,
): Float32Array {
  const start = row * longest * width;
  const token = (at: number) => data.subarray(start + at * width, start + (at + 1) * width);
  if (mode === 'cls') return token(0).slice();
  if (mode === 'last') return token(to - 1).slice();
  const sums = new Float64Array(width).fill(mode === 'max' ? -Infinity : 0);
  for (let at = from; at < to; at++) {
    const vector = token(at);
    if (mode === 'max') for (let n = 0; n < width; n++) sums[n] = Math.max(sums[n]!, vector[n]!);
    else for (let n = 0; n < width; n++) sums[n]! += vector[n]!;
  }
  const count = mode === 'max' ? 1 : Math.max(to - from, 1);
  return Float32Array.from(sums, (sum) => sum / count);
}

/** Gives a vector unit length, in place. One of zeros stays as it is. */
export function normalize(vector: Float32Array): void {
  let squares = 0;
  for (let at = 0; at < vector.length; at++) squares += vector[at]! * vector[at]!;
  const scale = 1 / (Math.sqrt(squares) || 1);
  for (let at = 0; at < vector.length; at++) vector[at]! *= scale;
}
