/** `/v1/embeddings`: vectors as base64 where the server knows that form, as numbers where it doesn't. */
import type { Handler } from '../provider.ts';
import { invalidOutput } from '../failures.ts';
import { parseCost } from '../collect-stream.ts';
import { shareTokens } from '../share-tokens.ts';
import type { Connection } from './connection.ts';

interface Item {
  readonly index?: number;
  readonly embedding: string | number[];
}

export const embeddings =
  (deps: Connection): Handler<'embeddings'> =>
  async ({ model, input: { inputs, dimensions } }, { signal }) => {
    const { data, usage } = await deps.callForJson(signal, (client) =>
      // Asked for by name: the client then hands the answer over as it came, and decodes nothing.
      client.embeddings.create(
        { model, input: inputs as string[], dimensions, encoding_format: 'base64' },
        { signal },
      ),
    );
    if (!Array.isArray(data)) throw invalidOutput('it holds no list of vectors');
    const vectors: Float32Array[] = [];
    for (const [at, { index = at, embedding }] of (data as unknown as Item[]).entries()) {
      vectors[index] = vectorOf(embedding);
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

function vectorOf(embedding: string | number[]): Float32Array {
  if (Array.isArray(embedding)) return Float32Array.from(embedding, (value) => value ?? NaN);
  const bytes = Buffer.from(embedding, 'base64');
  if (bytes.length % 4 !== 0) throw invalidOutput('a vector is not of whole numbers');
  return new Float32Array(new Uint8Array(bytes).buffer);
}
