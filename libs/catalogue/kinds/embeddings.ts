/** Embeddings: texts (or token ids) to vectors, as `/v1/embeddings`. */
import { z } from 'zod';
import { embeddingsBody, embeddingsInput, type EmbeddingsBody } from '@millrace/contracts';
import { float32Json, ProviderFailure } from '#domain';
import { inlineBytes } from '../define-task.ts';
import { defineKind } from '../kind.ts';

export interface EmbeddingsInput {
  /** Texts, or their token ids where the caller tokenised them. */
  readonly inputs: (string | number[])[];
  /** Length the vectors are cut to (Matryoshka); the model's own where undefined. */
  readonly dimensions?: number;
  /** What the texts are for, where the model was trained with a prompt for each purpose. */
  readonly purpose?: 'query' | 'passage';
  /** Options for the sandbox; other providers ignore them. */
  readonly metadata?: Record<string, string> | null;
}

export interface EmbeddingsOutput {
  /** One vector for each input, in order, all of one length. */
  readonly vectors: Float32Array[];
  /** Tokens of each input, in order. */
  readonly tokens: number[];
  /** Inputs whose end was cut off, as they were longer than the model reads; left out where there are none. */
  readonly truncated?: boolean[];
  /** US dollars for all of them, where the provider says so. */
  readonly cost?: number;
  /** Set where no model stood behind it. */
  readonly simulated?: boolean;
}

/** Length of a vector where the request doesn't name one: what most models have, or less. */
const usualDimensions = 1_024;

export const embeddings = defineKind<EmbeddingsBody, EmbeddingsInput, EmbeddingsOutput>({
  id: 'embeddings',
  title: 'Embeddings',
  modalities: { in: ['text'], out: ['vector'] },
  endpoint: '/v1/embeddings',
  body: embeddingsBody,
  input: embeddingsInput,
  output: z.object({
    object: z.literal('list'),
    data: z.array(
      z.object({
        object: z.literal('embedding'),
        index: z.int(),
        embedding: z.union([z.array(z.number()), z.string()]),
      }),
    ),
    model: z.string(),
    usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  }),
  result: { inlineBytes },
  streams: false,
  chunk: {
    seconds: 4,
    maxLines: 12_000,
    unmeasuredMaxLines: 4_000,
    maxBytes: 8 * 2 ** 20,
    maxAnswerBytes: 64 * 2 ** 20,
  },
  timeoutMs: 60_000,
  longestMs: 600_000,
  packing: {
    maxTokens: 16_384,
    maxItems: 256,
    key: (body) =>
      `${body.dimensions ?? ''} ${body.input_type ?? ''} ${body.metadata ? JSON.stringify(body.metadata) : ''}`,
    weigh(body) {
      let tokens = 0;
      const inputs = inputsOf(body);
      for (const input of inputs) tokens += estimateTokens(input);
      return { tokens, items: inputs.length };
    },
    join,
    split,
  },
  toInput: (body) => join([body]),
  answerBytes({ input, dimensions, encoding_format }) {
    const vectors = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1;
    const numbers =
      typeof dimensions === 'number' ? Math.min(Math.max(dimensions, 1), 65_536) : usualDimensions;
    return vectors * numbers * (encoding_format === 'base64' ? 6 : 13);
  },
  answer(output, body) {
    let inputTokens = 0;
    for (const tokens of output.tokens) inputTokens += tokens;
    const write = body.encoding_format === 'base64' ? base64 : float32Json;
    let data = '';
    for (const [index, vector] of output.vectors.entries()) {
      data += `${index > 0 ? ',' : ''}{"object":"embedding","index":${index},"embedding":${write(vector)}}`;
    }
    const note = noteOf(output);
    return {
      json:
        `{"object":"list","data":[${data}],"model":${JSON.stringify(body.model)},` +
        `"usage":{"prompt_tokens":${inputTokens},"total_tokens":${inputTokens}}${note}}`,
      usage: { inputTokens, outputTokens: 0, ...(output.cost !== undefined && { cost: output.cost }) },
    };
  },
  examples: [{ model: 'sandbox/embeddings', input: { input: 'The mill turns.' } }],
});

function join(bodies: EmbeddingsBody[]): EmbeddingsInput {
  const { dimensions, input_type: purpose, metadata } = bodies[0]!;
  return { inputs: bodies.flatMap(inputsOf), dimensions, purpose, metadata };
}

/** What OpenAI's answer has no place for. `truncated` names the inputs by index. */
function noteOf({ simulated, truncated = [] }: EmbeddingsOutput): string {
  const cut = truncated.flatMap((is, index) => (is ? [index] : []));
  if (!simulated && cut.length === 0) return '';
  return `,"millrace":${JSON.stringify({ ...(simulated && { simulated }), ...(cut.length > 0 && { truncated: cut }) })}`;
}

/** `input` in its four forms, as a list. */
function inputsOf({ input }: EmbeddingsBody): (string | number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as (string | number[])[]);
}

/** Four characters a token, OpenAI's rule of thumb for English; only packing depends on it. */
function estimateTokens(input: string | number[]): number {
  return typeof input === 'string' ? Math.ceil(input.length / 4) : input.length;
}

function split(output: EmbeddingsOutput, bodies: EmbeddingsBody[]): EmbeddingsOutput[] {
  const counts = bodies.map((body) => inputsOf(body).length);
  const wanted = counts.reduce((sum, count) => sum + count, 0);
  const { vectors, tokens } = output;
  if (vectors.length !== wanted || tokens.length !== wanted) {
    throw invalid(`${vectors.length} vectors for ${wanted} inputs`);
  }
  const length = bodies[0]?.dimensions ?? vectors[0]?.length;
  for (const vector of vectors) {
    if (vector.length !== length)
      throw invalid(`a vector of ${vector.length} numbers where ${length} were due`);
    if (!isFiniteVector(vector)) throw invalid('a vector holds a number that is not finite');
  }
  const tokensOf = (some: readonly number[]) => some.reduce((sum, each) => sum + each, 0);
  const { cost } = output;
  const all = tokensOf(tokens);
  let from = 0;
  return counts.map((count) => {
    const part = {
      ...output,
      vectors: vectors.slice(from, from + count),
      tokens: tokens.slice(from, from + count),
      ...(output.truncated && { truncated: output.truncated.slice(from, from + count) }),
    };
    from += count;
    if (cost === undefined) return part;
    // What a call has cost is borne by its lines as they have tokens.
    return { ...part, cost: all > 0 ? (cost * tokensOf(part.tokens)) / all : cost / counts.length };
  });
}

/** A sum is finite only when each of its terms is. Sums of float32 can't overflow a double. */
function isFiniteVector(vector: Float32Array): boolean {
  let sum = 0;
  for (let at = 0; at < vector.length; at++) sum += vector[at]!;
  return Number.isFinite(sum);
}

const invalid = (what: string) =>
  new ProviderFailure(`The model's answer does not fit: ${what}.`, {
    code: 'invalid_output',
    status: 502,
    retryable: false,
  });

/** Little-endian float32 in base64, as OpenAI's clients decode it. */
function base64(vector: Float32Array): string {
  return `"${Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')}"`;
}
