/**
 * OpenAI's API as its reference describes it (https://platform.openai.com/docs/api-reference) and as compatible servers
 * implement it: vLLM (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html), TEI, llama.cpp.
 */
import { png, buildReply, countTokens, buildVector, wav, splitWords } from './model-outputs.ts';
import { getField, errorReply, type Reply, type Route, type UpstreamCall } from './call.ts';
import { toBase64 } from './faults.ts';

const post: Record<string, (call: UpstreamCall) => Reply> = {
  embeddings,
  'chat/completions': chat,
  completions,
  'images/generations': images,
  'images/edits': images,
  'audio/speech': () => ({ headers: { 'content-type': 'audio/wav' }, bytes: wav }),
  'audio/transcriptions': transcription,
  'audio/translations': transcription,
  moderations,
  rerank,
};

const listed = { object: 'model', created: 0, owned_by: 'test' };

export const openai: Route = (call) => {
  const [, name] = /\/v1\/(.+)$/.exec(call.path) ?? [];
  if (name === 'models') {
    return {
      json: {
        object: 'list',
        data: [
          { ...listed, id: 'scripted' },
          // As OpenRouter and Hugging Face's router list models; other servers list ids only.
          { ...listed, id: 'scripted/blind', architecture: { input_modalities: ['text'] } },
          { ...listed, id: 'scripted/seeing', architecture: { input_modalities: ['text', 'image'] } },
        ],
      },
    };
  }
  return call.method === 'POST' && name !== undefined ? post[name]?.(call) : undefined;
};

const modelOf = (call: UpstreamCall) => getField(call, 'model') ?? null;

function embeddings(call: UpstreamCall): Reply {
  const given = getField(call, 'input') as string | number[] | (string | number[])[];
  const inputs =
    typeof given === 'string' || typeof given[0] === 'number' ? [given as string] : (given as string[]);
  const dimensions = getField(call, 'dimensions') as number | undefined;
  if (inputs.length > 2_048) return errorReply(400, "'input' has 2048 items at most");
  const isBase64 = getField(call, 'encoding_format') === 'base64';
  const tokens = inputs.reduce((sum, input) => sum + countTokens(String(input)), 0);
  return {
    items: inputs.length,
    json: {
      object: 'list',
      model: modelOf(call),
      data: inputs.map((input, index) => {
        const vector = buildVector(input, dimensions);
        return { object: 'embedding', index, embedding: isBase64 ? toBase64(vector) : vector };
      }),
      usage: { prompt_tokens: tokens, total_tokens: tokens, ...costOf(call) },
    },
  };
}

interface Message {
  readonly content: string | readonly { readonly type: string; readonly text?: string }[];
}

function lastText(call: UpstreamCall): string {
  const { content = '' } = (getField(call, 'messages') as Message[]).at(-1) ?? {};
  if (typeof content === 'string') return content;
  return content.map(({ type, text }) => text ?? `[${type}]`).join(' ');
}

function chat(call: UpstreamCall): Reply {
  const asked = lastText(call);
  const text = buildReply(asked);
  const head = { id: 'chatcmpl-scripted', created: 1_700_000_000, model: modelOf(call) };
  const usage = { ...usageOf(asked, text), ...costOf(call) };
  if (!getField(call, 'stream')) {
    const choice = {
      index: 0,
      message: { role: 'assistant', content: text },
      finish_reason: 'stop',
      logprobs: null,
    };
    return { json: { ...head, object: 'chat.completion', choices: [choice], usage } };
  }
  const chunk = (delta: object, finish_reason: string | null = null, more: object = {}) =>
    event({
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason }],
      ...more,
    });
  return stream([
    chunk({ role: 'assistant', content: '' }),
    ...splitWords(text).map((content) => chunk({ content })),
    chunk({}, 'stop'),
    ...lastChunk(call, { ...head, object: 'chat.completion.chunk' }, usage),
  ]);
}

function completions(call: UpstreamCall): Reply {
  const prompt = String(getField(call, 'prompt'));
  const text = buildReply(prompt);
  const head = {
    id: 'cmpl-scripted',
    object: 'text_completion',
    created: 1_700_000_000,
    model: modelOf(call),
  };
  const choice = (piece: string, finish_reason: string | null) => ({
    index: 0,
    text: piece,
    finish_reason,
    logprobs: null,
  });
  const usage = usageOf(prompt, text);
  if (!getField(call, 'stream')) return { json: { ...head, choices: [choice(text, 'stop')], usage } };
  return stream([
    ...splitWords(text).map((word) => event({ ...head, choices: [choice(word, null)] })),
    event({ ...head, choices: [choice('', 'stop')] }),
    ...lastChunk(call, head, usage),
  ]);
}

/** The last chunk of a stream has the usage, if the request asks for it. */
function lastChunk(call: UpstreamCall, head: object, usage: object): string[] {
  const options = getField(call, 'stream_options') as { include_usage?: boolean } | undefined;
  return options?.include_usage ? [event({ ...head, choices: [], usage })] : [];
}

/** A model named `…billed` reports a cost in dollars, as OpenRouter does: https://openrouter.ai/docs/use-cases/usage-accounting. */
const costOf = (call: UpstreamCall) => {
  const model = modelOf(call);
  return typeof model === 'string' && model.endsWith('billed') ? { cost: billedUsd } : {};
};

export const billedUsd = 0.000_25;

const usageOf = (asked: string, answered: string) => ({
  prompt_tokens: countTokens(asked),
  completion_tokens: countTokens(answered),
  total_tokens: countTokens(asked) + countTokens(answered),
});

const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

const stream = (pieces: readonly string[]): Reply => ({
  headers: { 'content-type': 'text/event-stream' },
  pieces: [...pieces, 'data: [DONE]\n\n'],
});

function images(call: UpstreamCall): Reply {
  const count = Number(getField(call, 'n') ?? 1);
  const image = { b64_json: png.toString('base64') };
  return { json: { created: 1_700_000_000, data: Array.from({ length: count }, () => image) } };
}

function transcription(call: UpstreamCall): Reply {
  const text = `${(getField(call, 'file') as Buffer).length} bytes were said`;
  if (getField(call, 'response_format') !== 'verbose_json') return { json: { text } };
  const segments = [{ id: 0, start: 0, end: 1.5, text }];
  const words = [{ word: text, start: 0, end: 1.5 }];
  return { json: { task: 'transcribe', language: 'english', duration: 1.5, text, segments, words } };
}

function moderations(call: UpstreamCall): Reply {
  const input = getField(call, 'input');
  // Several texts get a result each; the parts of one message get one result.
  const inputs = Array.isArray(input) && typeof input[0] === 'string' ? input : [input];
  const results = inputs.map((one) => {
    const flagged = JSON.stringify(one).includes('harm');
    return { flagged, categories: { violence: flagged }, category_scores: { violence: flagged ? 0.9 : 0.1 } };
  });
  return { json: { id: 'modr-scripted', model: modelOf(call), results } };
}

/** The format of Cohere, Jina and vLLM: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#re-rank-api */
function rerank(call: UpstreamCall): Reply {
  const documents = getField(call, 'documents') as string[];
  const query = new Set(String(getField(call, 'query')).toLowerCase().match(/\w+/g));
  const results = documents
    .map((text, index) => {
      const words = text.toLowerCase().match(/\w+/g) ?? [];
      const shared = words.filter((word) => query.has(word)).length;
      return { index, relevance_score: shared / (words.length || 1), document: { text } };
    })
    .sort((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, Number(getField(call, 'top_n') ?? documents.length));
  return { json: { id: 'rerank-scripted', model: modelOf(call), results, usage: { total_tokens: 9 } } };
}
