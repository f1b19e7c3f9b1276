/** Ollama's API, NDJSON where it streams: https://github.com/ollama/ollama/blob/main/docs/api.md */
import { replyTo, tokensOf, vectorOf, wordsOf } from './answers.ts';
import { fieldOf, type Reply, type Route, type UpstreamCall } from './call.ts';

export const ollama: Route = (call) => {
  if (call.path === '/api/tags')
    return { json: { models: [{ name: 'scripted:latest', model: 'scripted:latest' }] } };
  if (call.path === '/api/version') return { json: { version: '0.30.0' } };
  if (call.method !== 'POST') return undefined;
  if (call.path === '/api/embed') return embed(call);
  if (call.path === '/api/generate') {
    return said(call, String(fieldOf(call, 'prompt')), (response) => ({ response }));
  }
  if (call.path !== '/api/chat') return undefined;
  const messages = fieldOf(call, 'messages') as { content: string }[];
  const message = (content: string) => ({ message: { role: 'assistant', content } });
  return said(call, messages.at(-1)?.content ?? '', message);
};

function embed(call: UpstreamCall): Reply {
  const inputs = [fieldOf(call, 'input')].flat() as string[];
  const prompt_eval_count = inputs.reduce((sum, input) => sum + tokensOf(input), 0);
  const embeddings = inputs.map((input) => vectorOf(input));
  return { items: inputs.length, json: { model: fieldOf(call, 'model'), embeddings, prompt_eval_count } };
}

function said(call: UpstreamCall, asked: string, piece: (text: string) => object): Reply {
  const text = replyTo(asked);
  const head = { model: fieldOf(call, 'model'), created_at: '2026-01-01T00:00:00Z' };
  const counts = {
    prompt_eval_count: tokensOf(asked),
    eval_count: tokensOf(text),
    total_duration: 1_000_000,
  };
  const end = { done: true, done_reason: 'stop', ...counts };
  if (fieldOf(call, 'stream') === false) return { json: { ...head, ...piece(text), ...end } };
  const lines = [
    ...wordsOf(text).map((word) => ({ ...head, ...piece(word), done: false })),
    { ...head, ...piece(''), ...end },
  ];
  return {
    headers: { 'content-type': 'application/x-ndjson' },
    pieces: lines.map((line) => `${JSON.stringify(line)}\n`),
  };
}
