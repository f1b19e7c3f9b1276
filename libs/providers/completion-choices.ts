/**
 * Reads the choices of a chat or text completion tolerantly: what a server leaves out is supplied where there is only
 * one right value, and all fields that we do not read are kept as they are.
 */
import { invalidOutput, toRefusal } from './failures.ts';
import { readError } from './read-error.ts';

export type Fields = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @returns the objects of a list. Some servers send one object in place of a list with one. */
export const toObjects = (value: unknown): Fields[] => [value].flat().filter(isObject);

/** @returns the index that the server gives to a choice, or its position in the list. */
export const readIndex = ({ index }: Fields, position: number): number =>
  typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < maxChoices ? index : position;

/** Requests ask for 128 choices at most. */
const maxChoices = 1_024;

/** @returns null if there is none yet. Some servers send empty text, or an object whose `type` is the reason. */
export function readFinishReason(choice: Fields): string | null {
  const { finish_reason: reason } = choice;
  const text = isObject(reason) ? reason['type'] : reason;
  if (text === 'error' || text === 'abort') throw toRefusal(readChoiceError(choice));
  return typeof text === 'string' && text !== '' ? text : null;
}

/** OpenRouter reports the error of a provider in the choice: https://openrouter.ai/docs/api-reference/errors. */
export function assertNoChoiceError(choice: Fields): void {
  if (isObject(choice['error'])) throw toRefusal(readChoiceError(choice));
}

function readChoiceError(choice: Fields) {
  const error = isObject(choice['error']) ? choice['error'] : choice['finish_reason'];
  const reported = readError(isObject(error) ? { error } : null);
  const message = reported.message || `the answer ended with the finish reason '${JSON.stringify(error)}'`;
  return { ...reported, message };
}

/** The text and the reasoning of a message. Some servers send lists of parts in place of text. */
export function readContent(content: unknown): { readonly text: string | null; readonly reasoning: string } {
  if (typeof content === 'string') return { text: content, reasoning: '' };
  if (!Array.isArray(content)) return { text: null, reasoning: '' };
  const texts = { text: '', reasoning: '' };
  for (const part of content as unknown[]) {
    if (typeof part === 'string') texts.text += part;
    if (!isObject(part)) continue;
    if (typeof part['text'] === 'string') texts.text += part['text'];
    else if (typeof part['refusal'] === 'string') texts.text += part['refusal'];
    // https://docs.mistral.ai/capabilities/reasoning: `{"type": "thinking", "thinking": [{"type": "text", "text": …}]}`.
    else if (part['type'] === 'thinking') texts.reasoning += readContent(part['thinking']).text ?? '';
  }
  return texts;
}

/** A tool call's arguments as text. Some servers send an object, or null for a function without parameters. */
export const readArguments = (value: unknown): string =>
  typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value);

/** The tool calls of a whole message, with the fields that OpenAI's clients rely on. */
export function completeToolCalls(value: unknown): Fields[] {
  return toObjects(value).map(({ index: _, ...call }, position) => {
    const called = isObject(call['function']) ? call['function'] : {};
    return {
      ...call,
      id: typeof call['id'] === 'string' && call['id'] !== '' ? call['id'] : `call_${position}`,
      type: typeof call['type'] === 'string' ? call['type'] : 'function',
      ...(call['function'] !== undefined && {
        function: {
          ...called,
          name: typeof called['name'] === 'string' ? called['name'] : '',
          arguments: readArguments(called['arguments']) || '{}',
        },
      }),
    };
  });
}

/** The message of a chat choice. @returns its fields in OpenAI's format, and all others as they are. */
export function completeMessage(message: Fields): Fields {
  const { content, tool_calls: toolCalls, role: _, ...others } = message;
  const { text, reasoning } = readContent(content);
  const calls = completeToolCalls(toolCalls);
  return {
    role: 'assistant',
    content: text === null || (text === '' && calls.length > 0) ? (calls.length > 0 ? null : text) : text,
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...others,
  };
}

/** A chat choice as a server sent it whole. */
export function completeChatChoice(choice: Fields, position: number): Fields {
  assertNoChoiceError(choice);
  const message = [choice['message'], choice['delta']].find(isObject);
  const text = typeof choice['text'] === 'string' ? { content: choice['text'] } : undefined;
  const given = message ?? text;
  if (!given) throw invalidOutput('a choice has no message', undefined, choice);
  const completed = completeMessage(given);
  const { message: _, delta: __, ...others } = choice;
  return {
    ...others,
    index: readIndex(choice, position),
    message: completed,
    finish_reason: readFinishReason(choice) ?? (completed['tool_calls'] ? 'tool_calls' : 'stop'),
  };
}

/** A choice of a text completion as a server sent it whole. */
export function completeTextChoice(choice: Fields, position: number): Fields {
  assertNoChoiceError(choice);
  const message = isObject(choice['message']) ? readContent(choice['message']['content']).text : undefined;
  const text = typeof choice['text'] === 'string' ? choice['text'] : message;
  if (typeof text !== 'string') throw invalidOutput('a choice has no text', undefined, choice);
  return {
    ...choice,
    index: readIndex(choice, position),
    text,
    finish_reason: readFinishReason(choice) ?? 'stop',
  };
}
