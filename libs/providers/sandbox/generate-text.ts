/** Answers in words: computed from what was asked, streamed word by word where asked to. */
import { setTimeout as wait } from 'node:timers/promises';
import type { InputOf, OutputOf } from '#catalogue';
import type { Run } from '../provider.ts';
import type { SandboxOptions } from './options.ts';

/** Four characters a token, OpenAI's rule of thumb for English. */
export const estimateTokens = (text: string): number => Math.ceil(text.length / 4);

export const estimateUsage = (input: string, output: string) => ({
  inputTokens: estimateTokens(input),
  outputTokens: estimateTokens(output),
});

type Chat = InputOf<'chat-completion'>;

export async function generateChat(
  input: Chat,
  run: Run,
  options: SandboxOptions,
): Promise<OutputOf<'chat-completion'>> {
  const asked = input.messages.findLast(({ role }) => role === 'user') ?? input.messages.at(-1)!;
  const { text, images } = contentOf(asked.content);
  const seen = images > 0 ? ` I was shown ${images} ${images === 1 ? 'image' : 'images'}.` : '';
  const limit = input.max_completion_tokens ?? input.max_tokens ?? undefined;
  const isJson = input.response_format && input.response_format['type'] !== 'text';
  const full = isJson
    ? JSON.stringify({ simulated: true, asked: text })
    : `This answer is simulated.${seen} You asked: ${text}`;
  const choices = [];
  let all = '';
  for (let index = 0; index < (input.n ?? 1); index++) {
    const told = await tell(full, { index, limit, isStreamed: input.stream === true }, run, options);
    all += told.text;
    const message = { role: 'assistant' as const, content: told.text };
    choices.push({ index, message, finish_reason: told.finishReason, logprobs: null });
  }
  return { choices, usage: estimateUsage(JSON.stringify(input.messages), all) };
}

export async function generateText(
  input: InputOf<'text-generation'>,
  run: Run,
  options: SandboxOptions,
): Promise<OutputOf<'text-generation'>> {
  const full = ` this text is simulated, and goes on from: ${input.prompt}`;
  const choices = [];
  let all = '';
  for (let index = 0; index < (input.n ?? 1); index++) {
    const how = { index, limit: input.max_tokens ?? undefined, isStreamed: input.stream === true };
    const { text, finishReason } = await tell(full, how, run, options);
    all += text;
    choices.push({ index, text, finish_reason: finishReason, logprobs: null });
  }
  return { choices, usage: estimateUsage(input.prompt, all) };
}

/** One word a token. */
async function tell(
  full: string,
  { index, limit, isStreamed }: { index: number; limit: number | undefined; isStreamed: boolean },
  run: Run,
  { token_ms: tokenMs = 0, tokens }: SandboxOptions,
) {
  const words = full.match(/\s*\S+/g) ?? [];
  const wanted =
    tokens === undefined ? words : Array.from({ length: tokens }, (_, at) => words[at % words.length]!);
  const told = limit === undefined ? wanted : wanted.slice(0, limit);
  const finishReason = told.length < wanted.length ? 'length' : 'stop';
  for (const text of isStreamed ? told : []) {
    if (tokenMs > 0) await wait(tokenMs, undefined, { signal: run.signal });
    run.stream({ index, text });
  }
  if (isStreamed) run.stream({ index, finishReason });
  else if (tokenMs > 0)
    await wait(Math.min(tokenMs * told.length, 2 ** 31 - 1), undefined, { signal: run.signal });
  return { text: told.join(''), finishReason };
}

function contentOf(content: Chat['messages'][number]['content']): { text: string; images: number } {
  if (typeof content === 'string') return { text: content, images: 0 };
  const parts = content ?? [];
  const text = parts.flatMap((part) => (part.type === 'text' ? part.text : [])).join(' ');
  return { text, images: parts.filter(({ type }) => type === 'image_url').length };
}
