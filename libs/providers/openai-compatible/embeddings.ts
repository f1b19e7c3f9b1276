/** `/v1/embeddings`. Vectors are requested as base64; servers that do not support it return numbers. */
import { invalidOutput } from '../failures.ts';
import type { Handler } from '../run.ts';
import { shareTokens } from '../share-tokens.ts';
import { parseCost } from '../usage.ts';
import type { Connection } from './connection.ts';

interface EmbeddingItem {
  readonly index?: number;
  readonly embedding: string | number[];
}

export const embeddings =
  (connection: Connection): Handler<'embeddings'> =>
  async ({ model, credential, input: { inputs, dimensions } }, { signal }) => {
    const { data, usage } = await connection.callForJson(credential, signal, (client) =>
      // With an explicit `encoding_format` the client returns the response as it is and decodes nothing.
      client.embeddings.create(
        { model, input: inputs as string[], dimensions, encoding_format: 'base64' },
        { signal },
      ),
    );
    if (!Array.isArray(data)) throw invalidOutput('it has no list of vectors');
    const vectors: Float32Array[] = [];
    for (const [position, item] of (data as unknown as EmbeddingItem[]).entries()) {
      vectors[item.index ?? position] = parseVector(item.embedding);
    }
    if (vectors.length !== data.length || vectors.includes(undefined as never)) {
      throw invalidOutput('its vectors are not numbered from 0');
    }
    const cost = usage && parseCost(usage);
    return {
      vectors,
      tokens: shareTokens(usage?.prompt_tokens, inputs),
      ...(cost !== undefined && { cost }),
    };
  };

function parseVector(embedding: string | number[]): Float32Array {
  if (Array.isArray(embedding)) return Float32Array.from(embedding, (value) => value ?? NaN);
  const bytes = Buffer.from(embedding, 'base64');
  if (bytes.length % 4 !== 0) throw invalidOutput('the length of a vector is not a multiple of 4 bytes');
  return new Float32Array(new Uint8Array(bytes).buffer);
}
