/** Chat messages from OpenAI's format to Ollama's, and tool calls in both directions. */
import type { InputOf } from '#catalogue';
import { isObject } from '../completion-choices.ts';
import { unsupportedRequest } from '../failures.ts';

type Message = InputOf<'chat-completion'>['messages'][number];

export interface OllamaToolCall {
  readonly function: { readonly name: string; readonly arguments: unknown };
}

interface OpenAIToolCall {
  readonly id?: unknown;
  readonly function?: { readonly name: string; readonly arguments?: unknown } | null | undefined;
}

/** In Ollama's format the text is one string, images are base64 beside it, and a tool call's arguments are an object. */
export function toOllamaMessage(message: Message): object {
  const { role, content } = message;
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : (content ?? []);
  const texts: string[] = [];
  const images: string[] = [];
  for (const part of parts) {
    if (part.type === 'text') texts.push(part.text);
    else if (part.type === 'refusal') texts.push(part.refusal);
    else if (part.type === 'image_url') images.push(part.image_url.url.replace(/^data:[^,]*,/, ''));
    else throw unsupportedRequest('Ollama does not accept audio in messages.', 'messages');
  }
  const {
    tool_calls: toolCalls,
    name,
    thinking,
    reasoning_content: reasoning = thinking,
  } = message as {
    readonly tool_calls?: readonly OpenAIToolCall[] | null;
    readonly name?: string | null;
    readonly thinking?: unknown;
    readonly reasoning_content?: unknown;
  };
  return {
    role: role === 'developer' ? 'system' : role,
    content: texts.join('\n'),
    ...(images.length > 0 && { images }),
    ...(toolCalls && { tool_calls: toolCalls.flatMap(toOllamaToolCall) }),
    ...(typeof reasoning === 'string' && { thinking: reasoning }),
    ...(role === 'tool' && typeof name === 'string' && { tool_name: name }),
  };
}

function toOllamaToolCall({ function: called }: OpenAIToolCall): OllamaToolCall[] {
  if (!called) return [];
  return [{ function: { name: called.name, arguments: parseArguments(called.name, called.arguments) } }];
}

/** @param value JSON text; some clients send the object itself, or nothing for a function without parameters. */
function parseArguments(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value ?? {};
  if (value.trim() === '') return {};
  try {
    return JSON.parse(value) as unknown;
  } catch {
    throw unsupportedRequest(`The arguments of the tool call '${name}' are not JSON.`, 'messages');
  }
}

/** @param index position among all tool calls of the answer. Versions before 0.12 give tool calls no ids. */
export function toToolCallChunk(
  { id, function: called, ...others }: Readonly<Record<string, unknown>>,
  index: number,
): object {
  const { index: _, name, arguments: args, ...rest } = isObject(called) ? called : {};
  return {
    ...others,
    index,
    id: typeof id === 'string' && id !== '' ? id : `call_${index}`,
    type: 'function',
    function: { ...rest, name, arguments: typeof args === 'string' ? args : JSON.stringify(args ?? {}) },
  };
}
