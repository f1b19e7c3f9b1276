/** Generates text that depends on the request only, and streams it word by word if the request asks for a stream. */
import { setTimeout as wait } from 'node:timers/promises';
import { listPrompts, type InputOf, type OutputOf } from '#catalogue';
import type { Run } from '../run.ts';
import type { SandboxOptions } from './options.ts';

/** Four characters per token, OpenAI's rule of thumb for English. */
const estimateTokens = (text: string): number => Math.ceil(text.length / 4);

export const estimateUsage = (input: string, output: string) => ({
  inputTokens: estimateTokens(input),
  outputTokens: estimateTokens(output),
});

type ChatInput = InputOf<'chat-completion'>;

export async function generateChat(
  input: ChatInput,
  run: Run,
  options: SandboxOptions,
): Promise<OutputOf<'chat-completion'>> {
  const prompt = input.messages.findLast(({ role }) => role === 'user') ?? input.messages.at(-1)!;
  const { text, imageCount } = parseContent(prompt.content);
  const images = imageCount > 0 ? ` I was shown ${imageCount} ${imageCount === 1 ? 'image' : 'images'}.` : '';
  const isJson = input.response_format && input.response_format['type'] !== 'text';
  const fullAnswer = isJson
    ? JSON.stringify({ simulated: true, asked: text })
    : `This answer is simulated.${images} You asked: ${text}`;
  const maxWords = input.max_completion_tokens ?? input.max_tokens ?? undefined;
  const choices = [];
  let allText = '';
  for (let index = 0; index < (input.n ?? 1); index++) {
    const choice = { index, maxWords, isStreamed: input.stream === true };
    const { text: content, finishReason } = await writeChoice(fullAnswer, choice, run, options);
    allText += content;
    const message = { role: 'assistant' as const, content };
    choices.push({ index, message, finish_reason: finishReason, logprobs: null });
  }
  return { choices, usage: estimateUsage(JSON.stringify(input.messages), allText) };
}

export async function generateText(
  input: InputOf<'text-generation'>,
  run: Run,
  options: SandboxOptions,
): Promise<OutputOf<'text-generation'>> {
  const prompts = listPrompts(input.prompt).map(String);
  const { n = 1 } = input;
  const choices = [];
  let allText = '';
  for (let index = 0; index < n * prompts.length; index++) {
    const fullText = ` this text is simulated, and continues: ${prompts[Math.floor(index / n)]}`;
    const choice = { index, maxWords: input.max_tokens ?? undefined, isStreamed: input.stream === true };
    const { text, finishReason } = await writeChoice(fullText, choice, run, options);
    allText += text;
    choices.push({ index, text, finish_reason: finishReason, logprobs: null });
  }
  return { choices, usage: estimateUsage(prompts.join(' '), allText) };
}

/** Longest delay of a timer in Node. */
const maxDelayMs = 2 ** 31 - 1;

/** One word counts as one token. */
async function writeChoice(
  fullText: string,
  choice: { index: number; maxWords: number | undefined; isStreamed: boolean },
  run: Run,
  { token_ms: tokenMs = 0, tokens }: SandboxOptions,
) {
  const { index, maxWords, isStreamed } = choice;
  const words = fullText.match(/\s*\S+/g) ?? [];
  const allWords =
    tokens === undefined ? words : Array.from({ length: tokens }, (_, at) => words[at % words.length]!);
  const written = maxWords === undefined ? allWords : allWords.slice(0, maxWords);
  const finishReason = written.length < allWords.length ? 'length' : 'stop';
  const delay = (ms: number) => wait(Math.min(ms, maxDelayMs), undefined, { signal: run.signal });
  if (isStreamed) {
    for (const text of written) {
      if (tokenMs > 0) await delay(tokenMs);
      run.stream({ index, text });
    }
    run.stream({ index, finishReason });
  } else if (tokenMs > 0) await delay(tokenMs * written.length);
  return { text: written.join(''), finishReason };
}

function parseContent(content: ChatInput['messages'][number]['content']): {
  text: string;
  imageCount: number;
} {
  if (typeof content === 'string') return { text: content, imageCount: 0 };
  const parts = content ?? [];
  const text = parts.flatMap((part) => (part.type === 'text' ? part.text : [])).join(' ');
  return { text, imageCount: parts.filter(({ type }) => type === 'image_url').length };
}
