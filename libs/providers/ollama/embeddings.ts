/** `/api/embed`. A text that is too long for the model is refused, not truncated. */
import { invalidOutput, unsupportedRequest } from '../failures.ts';
import type { Handler } from '../run.ts';
import { shareTokens } from '../share-tokens.ts';
import type { Connection } from './connection.ts';

interface EmbedResponse {
  readonly embeddings?: unknown;
  readonly prompt_eval_count?: unknown;
}

export const embeddings =
  (connection: Connection): Handler<'embeddings'> =>
  async ({ model, credential, input: { inputs, dimensions } }, { signal }) => {
    if (inputs.some((input) => typeof input !== 'string')) {
      throw unsupportedRequest('Ollama embeds texts only. Send text instead of token ids.', 'input');
    }
    const body = { model, input: inputs, dimensions, truncate: false };
    const answer = await connection.post<EmbedResponse>('/api/embed', body, credential, signal);
    const { embeddings: vectors, prompt_eval_count: tokens } = answer;
    if (!Array.isArray(vectors)) throw invalidOutput('it has no list of vectors', undefined, answer);
    return {
      vectors: vectors.map(readVector),
      tokens: shareTokens(typeof tokens === 'number' ? tokens : undefined, inputs),
    };
  };

function readVector(vector: unknown): Float32Array {
  if (!Array.isArray(vector)) throw invalidOutput('an item of its list is not a vector', undefined, vector);
  return Float32Array.from(vector as unknown[], (value) => (typeof value === 'number' ? value : NaN));
}
