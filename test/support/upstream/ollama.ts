/** Ollama's API, NDJSON where it streams: https://github.com/ollama/ollama/blob/main/docs/api.md */
import { buildReply, countTokens, buildVector, splitWords } from './model-outputs.ts';
import { getField, type Reply, type Route, type UpstreamCall } from './call.ts';

/** The models on the server's disk and in its memory. Models named `pull-…` are missing until they are pulled. */
export class OllamaState {
  readonly pulled = new Set(['scripted:latest']);
  readonly loaded = new Set<string>();

  clear(): void {
    this.loaded.clear();
    for (const name of this.pulled) if (name !== 'scripted:latest') this.pulled.delete(name);
  }

  has(name: string): boolean {
    return !name.startsWith('pull-') || this.pulled.has(name);
  }
}

export const ollama =
  (state: OllamaState): Route =>
  (call) => {
    if (call.path === '/api/tags') return { json: { models: [...state.pulled].map(modelOf) } };
    if (call.path === '/api/ps') return { json: { models: [...state.loaded].map(modelOf) } };
    if (call.path === '/api/version') return { json: { version: '0.30.0' } };
    const route = call.method === 'POST' ? post[call.path] : undefined;
    if (!route) return undefined;
    // The official client sends `name` to pull a model.
    const name = fullName(String(getField(call, 'model') ?? getField(call, 'name')));
    if (call.path === '/api/pull') return pull(call, name, state);
    if (!state.has(name)) return { status: 404, json: { error: `model '${name}' not found` } };
    if (getField(call, 'keep_alive') === 0) {
      state.loaded.delete(name);
      return { json: { model: name, response: '', done: true, done_reason: 'unload' } };
    }
    state.loaded.add(name);
    return route(call);
  };

const fullName = (name: string) => (/:[^/]*$/.test(name) ? name : `${name}:latest`);

const modelOf = (name: string) => ({
  ...{ name, model: name, size: 1_000_000, size_vram: 0, digest: 'scripted' },
  details: { format: 'gguf', family: 'scripted', quantization_level: 'Q4_K_M' },
});

const ndjson = (lines: readonly object[]): Reply => ({
  headers: { 'content-type': 'application/x-ndjson' },
  pieces: lines.map((line) => `${JSON.stringify(line)}\n`),
});

/** A model named `pull-nothing` does not exist. */
function pull(call: UpstreamCall, name: string, state: OllamaState): Reply {
  const isWhole = getField(call, 'stream') === false;
  if (name.startsWith('pull-nothing')) {
    const error = 'pull model manifest: file does not exist';
    return isWhole ? { status: 500, json: { error } } : ndjson([{ status: 'pulling manifest' }, { error }]);
  }
  state.pulled.add(name);
  if (isWhole) return { json: { status: 'success' } };
  const part = { status: 'pulling scripted', digest: 'scripted', total: 1_000_000 };
  return ndjson([{ status: 'pulling manifest' }, { ...part, completed: 500_000 }, { status: 'success' }]);
}

const post: Record<string, (call: UpstreamCall) => Reply> = {
  '/api/pull': () => ({}),
  // A server older than 0.6.4 does not report capabilities.
  '/api/show'(call) {
    const name = String(getField(call, 'model'));
    const capabilities = name.includes('blind') ? ['completion'] : ['completion', 'vision'];
    return { json: { details: {}, ...(!name.includes('old') && { capabilities }) } };
  },
  '/api/embed': embed,
  '/api/generate': (call) => said(call, String(getField(call, 'prompt')), (response) => ({ response })),
  '/api/chat'(call) {
    const messages = getField(call, 'messages') as { content: string; images?: string[] }[];
    const { content = '', images = [] } = messages.at(-1) ?? {};
    const asked = [content, ...images.map(() => '[image]')].join(' ');
    return said(call, asked, (text) => ({ message: { role: 'assistant', content: text } }));
  },
};

function embed(call: UpstreamCall): Reply {
  const inputs = [getField(call, 'input') ?? []].flat() as string[];
  const prompt_eval_count = inputs.reduce((sum, input) => sum + countTokens(input), 0);
  const embeddings = inputs.map((input) => buildVector(input));
  return { items: inputs.length, json: { model: getField(call, 'model'), embeddings, prompt_eval_count } };
}

function said(call: UpstreamCall, asked: string, piece: (text: string) => object): Reply {
  const text = buildReply(asked);
  const head = { model: getField(call, 'model'), created_at: '2026-01-01T00:00:00Z' };
  const counts = {
    prompt_eval_count: countTokens(asked),
    eval_count: countTokens(text),
    total_duration: 1_000_000,
  };
  const end = { done: true, done_reason: 'stop', ...counts };
  if (getField(call, 'stream') === false) return { json: { ...head, ...piece(text), ...end } };
  return ndjson([
    ...splitWords(text).map((word) => ({ ...head, ...piece(word), done: false })),
    { ...head, ...piece(''), ...end },
  ]);
}
