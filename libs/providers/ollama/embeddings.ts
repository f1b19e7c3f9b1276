/** `/api/embed`. A text that is too long for the model is refused, not truncated. */
import { invalidOutput, unsupportedRequest } from '../failures.ts';
import type { Handler } from '../run.ts';
import { shareTokens } from '../share-tokens.ts';
import type { Connection } from './connection.ts';

interface EmbedResponse {
  readonly embeddings?: readonly (readonly (number | null)[])[];
  readonly prompt_eval_count?: number;
}

export const embeddings =
  (connection: Connection): Handler<'embeddings'> =>
  async ({ model, credential, input: { inputs, dimensions } }, { signal }) => {
    if (inputs.some((input) => typeof input !== 'string')) {
      throw unsupportedRequest('Ollama embeds texts only. Send text instead of token ids.', 'input');
    }
    const body = { model, input: inputs, dimensions, truncate: false };
    const answer = await connection.post<EmbedResponse>('/api/embed', body, credential, signal);
    if (!Array.isArray(answer.embeddings)) throw invalidOutput('it has no list of vectors');
    return {
      vectors: answer.embeddings.map((vector: readonly (number | null)[]) =>
        Float32Array.from(vector, (value) => value ?? NaN),
      ),
      tokens: shareTokens(answer.prompt_eval_count, inputs),
    };
  };
