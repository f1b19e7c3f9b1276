/** `/v1/embeddings`. Vectors are requested as base64, and as numbers from servers that refuse it. */
import { LRUCache } from 'lru-cache';
import { ProviderFailure } from '#domain';
import { invalidOutput } from '../failures.ts';
import type { Handler } from '../run.ts';
import { shareTokens } from '../share-tokens.ts';
import { parseCost, parseUsage } from '../usage.ts';
import type { Connection } from './connection.ts';

interface EmbeddingItem {
  readonly index?: unknown;
  readonly embedding?: unknown;
}

const maxModels = 1_000;
/** Servers are updated: base64 is tried again after this time. */
const refusedMs = 24 * 3_600_000;

export const embeddings = (connection: Connection): Handler<'embeddings'> => {
  const refusesBase64 = new LRUCache<string, true>({ max: maxModels, ttl: refusedMs });
  return async ({ model, credential, input: { inputs, dimensions } }, { signal }) => {
    const send = (format: 'base64' | 'float') =>
      connection.callForJson({ model, credential }, signal, (client) =>
        client.embeddings.create(
          { model, input: inputs as string[], dimensions, encoding_format: format },
          { signal },
        ),
      );
    const answer = refusesBase64.has(model)
      ? await send('float')
      : await send('base64').catch((error: unknown) => {
          if (!isFormatRefused(error)) throw error;
          refusesBase64.set(model, true);
          return send('float');
        });
    const { usage } = answer;
    const cost = usage ? parseCost(usage) : undefined;
    const counted = parseUsage(usage);
    return {
      vectors: readVectors(answer['data'] ?? answer.list, answer),
      tokens: shareTokens(counted && counted.inputTokens > 0 ? counted.inputTokens : undefined, inputs),
      ...(cost !== undefined && { cost }),
    };
  };
};

/** A server that does not know the format says so in its own words, with one of several statuses. */
const isFormatRefused = (error: unknown): boolean =>
  error instanceof ProviderFailure &&
  !error.retryable &&
  (error.param === 'encoding_format' || /encoding[_ ]?format|base64/i.test(error.message));

function readVectors(data: unknown, answer: object): Float32Array[] {
  if (!Array.isArray(data)) throw invalidOutput('it has no list of vectors', undefined, answer);
  const items = data as (EmbeddingItem | number[] | null)[];
  const indexes = items.map((item) => (item && 'index' in item ? item.index : undefined));
  // Servers that give every vector the index 0 return them in order.
  const isNumbered = indexes.some((index) => index !== 0);
  const vectors: Float32Array[] = [];
  for (const [position, item] of items.entries()) {
    const index = indexes[position];
    const at = isNumbered && typeof index === 'number' ? index : position;
    vectors[at] = parseVector(Array.isArray(item) ? item : item?.embedding);
  }
  if (vectors.length !== data.length || vectors.includes(undefined as never)) {
    throw invalidOutput('its vectors are not numbered from 0');
  }
  return vectors;
}

function parseVector(embedding: unknown): Float32Array {
  if (typeof embedding === 'string') {
    const bytes = Buffer.from(embedding, 'base64');
    if (bytes.length % 4 !== 0) throw invalidOutput('the length of a vector is not a multiple of 4 bytes');
    return new Float32Array(new Uint8Array(bytes).buffer);
  }
  // llama.cpp's own endpoint puts the vector of a text into a list: https://github.com/ggml-org/llama.cpp/pull/10861
  const list =
    Array.isArray(embedding) && Array.isArray(embedding[0]) ? (embedding[0] as unknown) : embedding;
  if (!Array.isArray(list))
    throw invalidOutput('an item of its list has no vector', undefined, embedding ?? null);
  if (Array.isArray(embedding) && embedding !== list && embedding.length > 1)
    throw invalidOutput('the model returns a vector for each token, not for each text');
  return Float32Array.from(list as unknown[], (value) => (typeof value === 'number' ? value : NaN));
}
