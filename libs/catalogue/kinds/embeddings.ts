/** Embeds texts or token ids as vectors, as `/v1/embeddings`. */
import { embeddingList, embeddingsBody, embeddingsInput, type EmbeddingsBody } from '@millrace/contracts';
import { formatFloat32Json, ProviderFailure } from '#domain';
import { maxInlineBytes } from '../define-single-call-kind.ts';
import { defineKind } from '../kind.ts';

export interface EmbeddingsInput {
  /** Texts, or token ids if the caller tokenized them. */
  readonly inputs: (string | number[])[];
  /** Length that the vectors are cut to (Matryoshka). Undefined: the model's own length. */
  readonly dimensions?: number;
  /** For models that were trained with a prompt for each purpose. */
  readonly purpose?: 'query' | 'passage';
  /** May carry options for the sandbox. Other providers ignore it. */
  readonly metadata?: Record<string, string> | null;
  /** Options of the model itself, to pass on as they are. */
  readonly provider?: Readonly<Record<string, unknown>>;
}

export interface EmbeddingsOutput {
  /** One vector for each input, in order, all of the same length. */
  readonly vectors: Float32Array[];
  /** Number of tokens of each input, in order. */
  readonly tokens: number[];
  /** For each input, whether it was longer than the model reads and was cut. Unset if none was. */
  readonly truncated?: boolean[];
  /** US dollars for the whole call, if the provider reports a cost. */
  readonly cost?: number;
  /** True if no model computed the vectors (sandbox). */
  readonly simulated?: boolean;
}

/** Assumed vector length if the request names none: most models have this length or less. */
const defaultDimensions = 1_024;

export const embeddings = defineKind<EmbeddingsBody, EmbeddingsInput, EmbeddingsOutput>({
  id: 'embeddings',
  title: 'Embeddings',
  modalities: { in: ['text'], out: ['vector'] },
  body: embeddingsBody,
  input: embeddingsInput,
  output: embeddingList.omit({ millrace: true }),
  result: { maxInlineBytes },
  streams: false,
  chunk: {
    seconds: 4,
    maxLines: 12_000,
    unmeasuredMaxLines: 4_000,
    maxBytes: 8 * 2 ** 20,
    maxAnswerBytes: 64 * 2 ** 20,
  },
  timeoutMs: 60_000,
  maxTimeoutMs: 600_000,
  packing: {
    maxTokens: 16_384,
    maxItems: 256,
    getKey: ({ dimensions = '', input_type: purpose = '', metadata, provider }) =>
      `${dimensions} ${purpose} ${metadata || provider ? JSON.stringify([metadata, provider]) : ''}`,
    weigh(body) {
      let tokens = 0;
      const inputs = listInputs(body);
      for (const input of inputs) tokens += estimateTokens(input);
      return { tokens, items: inputs.length };
    },
    join,
    split,
  },
  toInput: (body) => join([body]),
  estimateAnswerBytes({ input, dimensions, encoding_format }) {
    const vectors = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1;
    const numbers =
      typeof dimensions === 'number' ? Math.min(Math.max(dimensions, 1), 65_536) : defaultDimensions;
    return vectors * numbers * (encoding_format === 'base64' ? 6 : 13);
  },
  buildAnswer(output, body) {
    let inputTokens = 0;
    for (const tokens of output.tokens) inputTokens += tokens;
    const format = body.encoding_format === 'base64' ? formatBase64 : formatFloat32Json;
    let data = '';
    for (const [index, vector] of output.vectors.entries()) {
      data += `${index > 0 ? ',' : ''}{"object":"embedding","index":${index},"embedding":${format(vector)}}`;
    }
    const note = formatNote(output);
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
  const { dimensions, input_type: purpose, metadata, provider } = bodies[0]!;
  return { inputs: bodies.flatMap(listInputs), dimensions, purpose, metadata, provider };
}

/** The `millrace` field of the response. `truncated` lists the indexes of the inputs that were cut. */
function formatNote({ simulated, truncated = [] }: EmbeddingsOutput): string {
  const cut = truncated.flatMap((isCut, index) => (isCut ? [index] : []));
  if (!simulated && cut.length === 0) return '';
  return `,"millrace":${JSON.stringify({ ...(simulated && { simulated }), ...(cut.length > 0 && { truncated: cut }) })}`;
}

/** @returns `input`, which has four forms, as a list. */
function listInputs({ input }: EmbeddingsBody): (string | number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as (string | number[])[]);
}

/** Four characters per token, OpenAI's rule of thumb for English. Only packing uses the estimate. */
function estimateTokens(input: string | number[]): number {
  return typeof input === 'string' ? Math.ceil(input.length / 4) : input.length;
}

function split(output: EmbeddingsOutput, bodies: EmbeddingsBody[]): EmbeddingsOutput[] {
  const counts = bodies.map((body) => listInputs(body).length);
  const expected = counts.reduce((sum, count) => sum + count, 0);
  const { vectors, tokens } = output;
  if (vectors.length !== expected || tokens.length !== expected) {
    throw buildInvalidOutput(`${vectors.length} vectors for ${expected} inputs`);
  }
  const length = bodies[0]?.dimensions ?? vectors[0]?.length;
  for (const vector of vectors) {
    if (vector.length !== length)
      throw buildInvalidOutput(`a vector of ${vector.length} numbers instead of ${length}`);
    if (!isFiniteVector(vector)) throw buildInvalidOutput('a vector has a number that is not finite');
  }
  const sumTokens = (list: readonly number[]) => list.reduce((sum, count) => sum + count, 0);
  const { cost } = output;
  const allTokens = sumTokens(tokens);
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
    // The cost of a call is divided among its lines by their tokens.
    return {
      ...part,
      cost: allTokens > 0 ? (cost * sumTokens(part.tokens)) / allTokens : cost / counts.length,
    };
  });
}

/** A sum is finite only if all its terms are. A sum of float32 values cannot overflow a double. */
function isFiniteVector(vector: Float32Array): boolean {
  let sum = 0;
  for (let at = 0; at < vector.length; at++) sum += vector[at]!;
  return Number.isFinite(sum);
}

const buildInvalidOutput = (reason: string) =>
  new ProviderFailure(`The model's answer is invalid: ${reason}.`, {
    code: 'invalid_output',
    status: 502,
    retryable: false,
  });

/** Little-endian float32 in base64, as OpenAI's clients decode it. */
function formatBase64(vector: Float32Array): string {
  return `"${Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')}"`;
}
