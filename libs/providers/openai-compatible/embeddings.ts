/** `/v1/embeddings`: vectors as base64 where the server knows that form, as numbers where it doesn't. */
import type { Handler } from '../provider.ts';
import { misfit } from '../failures.ts';
import { costOf } from '../gather.ts';
import { shareTokens } from '../share-tokens.ts';
import type { Connection } from './connection.ts';

interface Item {
  readonly index?: number;
  readonly embedding: string | number[];
}

export const embeddings =
  (on: Connection): Handler<'embeddings'> =>
  async ({ model, input: { inputs, dimensions } }, { signal }) => {
    const { data, usage } = await on.ask(signal, (client) =>
      // Asked for by name: the client then hands the answer over as it came, and decodes nothing.
      client.embeddings.create(
        { model, input: inputs as string[], dimensions, encoding_format: 'base64' },
        { signal },
      ),
    );
    if (!Array.isArray(data)) throw misfit('it holds no list of vectors');
    const vectors: Float32Array[] = [];
    for (const [at, { index = at, embedding }] of (data as unknown as Item[]).entries()) {
      vectors[index] = vectorOf(embedding);
    }
    if (vectors.length !== data.length || vectors.includes(undefined as never)) {
      throw misfit('its vectors are not numbered from 0');
    }
    const cost = usage && costOf(usage);
    return {
      vectors,
      tokens: shareTokens(usage?.prompt_tokens, inputs),
      ...(cost !== undefined && { cost }),
    };
  };

function vectorOf(embedding: string | number[]): Float32Array {
  if (Array.isArray(embedding)) return Float32Array.from(embedding, (value) => value ?? NaN);
  const bytes = Buffer.from(embedding, 'base64');
  if (bytes.length % 4 !== 0) throw misfit('a vector is not of whole numbers');
  return new Float32Array(new Uint8Array(bytes).buffer);
}
