/** Chat messages from OpenAI's format to Ollama's, and tool calls in both directions. */
import type { InputOf } from '#catalogue';
import { unsupportedRequest } from '../failures.ts';

type Message = InputOf<'chat-completion'>['messages'][number];

export interface OllamaToolCall {
  readonly function: { readonly name: string; readonly arguments: unknown };
}

interface OpenAIToolCall {
  readonly function?: { readonly name: string; readonly arguments: string } | undefined;
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
  const toolCalls =
    'tool_calls' in message ? (message.tool_calls as readonly OpenAIToolCall[] | undefined) : undefined;
  return {
    role: role === 'developer' ? 'system' : role,
    content: texts.join('\n'),
    ...(images.length > 0 && { images }),
    ...(toolCalls && { tool_calls: toolCalls.flatMap(toOllamaToolCall) }),
  };
}

function toOllamaToolCall({ function: called }: OpenAIToolCall): OllamaToolCall[] {
  if (!called) return [];
  try {
    return [{ function: { name: called.name, arguments: JSON.parse(called.arguments) as unknown } }];
  } catch {
    throw unsupportedRequest(`The arguments of the tool call '${called.name}' are not JSON.`, 'messages');
  }
}

/** @param index position among all tool calls of the answer. Ollama gives tool calls no ids. */
export const toToolCallChunk = ({ function: called }: OllamaToolCall, index: number) => ({
  index,
  id: `call_${index}`,
  type: 'function',
  function: { name: called.name, arguments: JSON.stringify(called.arguments) },
});
