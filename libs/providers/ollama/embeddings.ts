/** `/api/embed`: texts to vectors. What is too long for the model is refused and not cut. */
import { invalidOutput, unsupportedRequest } from '../failures.ts';
import type { Handler } from '../provider.ts';
import { shareTokens } from '../share-tokens.ts';
import type { Connection } from './connection.ts';

interface Embedded {
  readonly embeddings?: readonly (readonly (number | null)[])[];
  readonly prompt_eval_count?: number;
}

export const embeddings =
  (deps: Connection): Handler<'embeddings'> =>
  async ({ model, input: { inputs, dimensions } }, { signal }) => {
    if (inputs.some((input) => typeof input !== 'string')) {
      throw unsupportedRequest('Ollama embeds texts: send them as such, and not as tokens.', 'input');
    }
    const body = { model, input: inputs, dimensions, truncate: false };
    const answer = await deps.post<Embedded>('/api/embed', body, signal);
    if (!Array.isArray(answer.embeddings)) throw invalidOutput('it holds no list of vectors');
    return {
      vectors: answer.embeddings.map((vector: readonly (number | null)[]) =>
        Float32Array.from(vector, (value) => value ?? NaN),
      ),
      tokens: shareTokens(answer.prompt_eval_count, inputs),
    };
  };
