/** `/api/chat` and `/api/generate`, streamed if the caller asked for a stream. Ollama returns one choice. */
import { requireSingleText, type OutputOf } from '#catalogue';
import { ProviderFailure } from '#domain';
import { collectStream } from '../collect-stream.ts';
import { isObject, toObjects } from '../completion-choices.ts';
import { invalidOutput } from '../failures.ts';
import type { Call, Handler, Run } from '../run.ts';
import { createChatCollector, createTextCollector, type CompletionCollector } from '../stream-collectors.ts';
import type { Connection } from './connection.ts';
import { toOllamaMessage, toToolCallChunk } from './messages.ts';
import { toOllamaFormat, toOllamaOptions, toThink } from './options.ts';

/** One line of a stream, or the whole answer. */
interface Line {
  readonly message?: unknown;
  readonly response?: unknown;
  readonly thinking?: unknown;
  readonly logprobs?: unknown;
  readonly done?: unknown;
  readonly done_reason?: unknown;
  readonly prompt_eval_count?: unknown;
  readonly eval_count?: unknown;
}

export const chatCompletion =
  (connection: Connection): Handler<'chat-completion'> =>
  async (call, run) => {
    const { model, input } = call;
    const { keep_alive, logprobs, top_logprobs } = input;
    const tools = input.tool_choice === 'none' ? undefined : (input.tools ?? undefined);
    const body = {
      ...{
        model,
        tools,
        keep_alive,
        logprobs: logprobs ?? undefined,
        top_logprobs: top_logprobs ?? undefined,
      },
      think: toThink(input),
      messages: input.messages.map(toOllamaMessage),
      options: toOllamaOptions(input),
      format: toOllamaFormat(input),
    };
    let toolCallCount = 0;
    const toChunk = (line: Line) => {
      const {
        content,
        thinking,
        tool_calls: calls,
        role: _,
        ...others
      } = isObject(line.message) ? line.message : {};
      const toolCalls = toObjects(calls).map((toolCall) => toToolCallChunk(toolCall, toolCallCount++));
      const delta = {
        ...others,
        ...(content !== '' && { content }),
        ...(thinking !== '' && { reasoning_content: thinking }),
        ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
      };
      const isEmpty = !content && !thinking && toolCalls.length === 0;
      return toCompletionChunk(line, { delta }, isEmpty, toolCallCount > 0);
    };
    return complete<OutputOf<'chat-completion'>>(
      connection,
      '/api/chat',
      body,
      call,
      run,
      createChatCollector(),
      toChunk,
    );
  };

export const textGeneration =
  (connection: Connection): Handler<'text-generation'> =>
  async (call, run) => {
    const { model, input } = call;
    const { suffix, keep_alive } = input;
    const prompt = requireSingleText(input.prompt);
    const body = {
      ...{ model, prompt, suffix, keep_alive },
      options: toOllamaOptions(input),
      raw: suffix === undefined,
    };
    const toChunk = (line: Line) => {
      const { response: text, thinking } = line;
      const choice = {
        ...(text !== '' && { text }),
        ...(thinking !== '' && { reasoning_content: thinking }),
      };
      return toCompletionChunk(line, choice, !text && !thinking, false);
    };
    return complete<OutputOf<'text-generation'>>(
      connection,
      '/api/generate',
      body,
      call,
      run,
      createTextCollector(),
      toChunk,
    );
  };

function complete<Output>(
  connection: Connection,
  path: string,
  body: object,
  { credential, input }: Call<'chat-completion'> | Call<'text-generation'>,
  run: Run,
  collector: CompletionCollector,
  toChunk: (line: Line) => object,
): Promise<Output> {
  const isStreamed = input.stream === true;
  let hasBegun = false;
  let isDone = false;
  return collectStream<Output>('Ollama', run, isStreamed, collector, async (onPart) => {
    const onLine = (line: Line) => {
      if (!isObject(line)) throw invalidOutput('it is not an object', undefined, line);
      // A whole answer has no other line, so it is done whether it says so or not.
      const { done = !isStreamed } = line;
      if (!hasBegun) assertNotLoad(line);
      hasBegun = true;
      isDone ||= done === true;
      onPart({ isChunk: true, body: toChunk({ ...line, done }) });
    };
    if (isStreamed) await connection.stream<Line>(path, body, credential, run.signal, onLine);
    else onLine(await connection.post<Line>(path, body, credential, run.signal));
    // Ollama ends every stream with a line that says `done`: without it the model's runner died.
    if (!isDone) {
      throw new ProviderFailure('Ollama ended the stream before the answer was complete.', {
        code: 'provider_unreachable',
        status: 502,
        retryable: true,
      });
    }
  });
}

/**
 * A model that was only loaded or unloaded answers with success, without a text:
 * https://github.com/ollama/ollama/blob/main/docs/api.md#load-a-model-1. The call is repeated once it is loaded.
 */
function assertNotLoad({ done_reason: reason, message, response }: Line): void {
  const text = isObject(message) ? message['content'] : response;
  const hasCalls = isObject(message) && toObjects(message['tool_calls']).length > 0;
  if ((reason !== 'load' && reason !== 'unload') || text || hasCalls) return;
  throw new ProviderFailure('Ollama loaded the model and did not run the request.', {
    code: 'model_loading',
    status: 503,
    retryable: true,
  });
}

/** Fields of a line that become parts of a completion. All others are kept. */
const mappedFields = [
  ...['message', 'response', 'thinking', 'logprobs', 'done', 'done_reason', 'model', 'created_at'],
  ...['prompt_eval_count', 'eval_count', 'context', 'error'],
];

/** @param choice the delta or the text. @param isEmpty whether the line has no part of the answer. */
function toCompletionChunk(line: Line, choice: object, isEmpty: boolean, hasToolCalls: boolean): object {
  const { logprobs } = line;
  const isDone = line.done === true;
  const others = Object.entries(line).filter(([name]) => !mappedFields.includes(name));
  return {
    ...Object.fromEntries(others),
    choices: [
      {
        index: 0,
        ...(isEmpty ? { delta: {} } : choice),
        ...(Array.isArray(logprobs) && { logprobs: { content: logprobs as unknown[] } }),
        finish_reason: isDone ? toFinishReason(line, hasToolCalls) : null,
      },
    ],
    usage: isDone ? toUsage(line) : null,
  };
}

function toFinishReason({ done_reason: reason }: Line, hasToolCalls: boolean): string {
  const given = typeof reason === 'string' && reason !== '' ? reason : 'stop';
  return hasToolCalls && given === 'stop' ? 'tool_calls' : given;
}

/** Ollama leaves out a count of 0, for example of a prompt that is in its cache. */
function toUsage({ prompt_eval_count: prompt, eval_count: completion }: Line): object | null {
  if (typeof prompt !== 'number' && typeof completion !== 'number') return null;
  return { prompt_tokens: prompt ?? 0, completion_tokens: completion ?? 0 };
}
