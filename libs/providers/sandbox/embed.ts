/** A deterministic vector for each text: unit length, equal for equal text, and no meaning whatever. */
import type { EmbeddingsInput, EmbeddingsOutput } from '#catalogue';
import { createSeededRandom } from './seeded-random.ts';

const defaultDimensions = 8;

export function embed({ inputs, dimensions = defaultDimensions }: EmbeddingsInput): EmbeddingsOutput {
  return {
    vectors: inputs.map((input) => vectorOf(typeof input === 'string' ? input : input.join(' '), dimensions)),
    tokens: inputs.map((input) => (typeof input === 'string' ? Math.ceil(input.length / 4) : input.length)),
    simulated: true,
  };
}

function vectorOf(text: string, dimensions: number): Float32Array {
  const chance = createSeededRandom(text);
  const vector = new Float32Array(dimensions);
  let squares = 0;
  for (let at = 0; at < dimensions; at++) {
    const value = chance() * 2 - 1;
    vector[at] = value;
    squares += value * value;
  }
  const scale = 1 / (Math.sqrt(squares) || 1);
  for (let at = 0; at < dimensions; at++) vector[at]! *= scale;
  return vector;
}
