/** A deterministic vector of unit length for each text. Equal texts have equal vectors; the numbers have no meaning. */
import type { EmbeddingsInput, EmbeddingsOutput } from '#catalogue';
import { createSeededRandom } from './seeded-random.ts';

const defaultDimensions = 8;

export function embed({ inputs, dimensions = defaultDimensions }: EmbeddingsInput): EmbeddingsOutput {
  return {
    vectors: inputs.map((input) =>
      createVector(typeof input === 'string' ? input : input.join(' '), dimensions),
    ),
    tokens: inputs.map((input) => (typeof input === 'string' ? Math.ceil(input.length / 4) : input.length)),
    simulated: true,
  };
}

function createVector(text: string, dimensions: number): Float32Array {
  const random = createSeededRandom(text);
  const vector = new Float32Array(dimensions);
  let squares = 0;
  for (let at = 0; at < dimensions; at++) {
    const value = random() * 2 - 1;
    vector[at] = value;
    squares += value * value;
  }
  const scale = 1 / (Math.sqrt(squares) || 1);
  for (let at = 0; at < dimensions; at++) vector[at]! *= scale;
  return vector;
}
