/** `/api/chat` and `/api/generate`, streamed if the caller asked for a stream. Ollama returns one choice. */
import type { OutputOf } from '#catalogue';
import { collectStream } from '../collect-stream.ts';
import { unsupportedRequest } from '../failures.ts';
import type { Call, Handler, Run } from '../run.ts';
import {
  ChatStreamCollector,
  TextStreamCollector,
  type ChatChunk,
  type TextChunk,
} from '../stream-collectors.ts';
import type { Connection } from './connection.ts';
import { toOllamaMessage, toToolCallChunk, type OllamaToolCall } from './messages.ts';
import { toOllamaFormat, toOllamaOptions } from './options.ts';

/** Fields of the last line. */
interface EndFields {
  readonly done?: boolean;
  readonly done_reason?: string;
  readonly prompt_eval_count?: number;
  readonly eval_count?: number;
}

interface ChatLine extends EndFields {
  readonly message?: {
    readonly content?: string;
    readonly thinking?: string;
    readonly tool_calls?: readonly OllamaToolCall[];
  };
}

export const chatCompletion =
  (connection: Connection): Handler<'chat-completion'> =>
  async (call, run) => {
    const { model, input } = call;
    assertOneChoice(input);
    const { tools, think, keep_alive } = input;
    const body = {
      ...{ model, tools, think, keep_alive },
      messages: input.messages.map(toOllamaMessage),
      options: toOllamaOptions(input),
      format: toOllamaFormat(input),
    };
    let toolCallCount = 0;
    const toChunk = ({ message = {}, ...end }: ChatLine): ChatChunk => {
      const { content, thinking, tool_calls = [] } = message;
      const toolCalls = tool_calls.map((toolCall) => toToolCallChunk(toolCall, toolCallCount++));
      const delta = {
        ...(content && { content }),
        ...(thinking && { reasoning_content: thinking }),
        ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
      };
      const finishReason = findFinishReason(end, toolCallCount > 0);
      return { choices: [{ index: 0, delta, finish_reason: finishReason }], usage: toUsage(end) };
    };
    return collectStream<ChatChunk, OutputOf<'chat-completion'>>(
      'Ollama',
      withoutUnwantedStream(run, input),
      new ChatStreamCollector(),
      (onChunk) =>
        readAnswer<ChatLine>(connection, '/api/chat', body, call, run, (line) => onChunk(toChunk(line))),
    );
  };

interface GenerateLine extends EndFields {
  readonly response?: string;
}

export const textGeneration =
  (connection: Connection): Handler<'text-generation'> =>
  async (call, run) => {
    const { model, input } = call;
    assertOneChoice(input);
    const { prompt, suffix, keep_alive } = input;
    const body = {
      ...{ model, prompt, suffix, keep_alive },
      options: toOllamaOptions(input),
      raw: suffix === undefined,
    };
    const toChunk = ({ response, ...end }: GenerateLine): TextChunk => ({
      choices: [
        { index: 0, ...(response && { text: response }), finish_reason: findFinishReason(end, false) },
      ],
      usage: toUsage(end),
    });
    return collectStream<TextChunk, OutputOf<'text-generation'>>(
      'Ollama',
      withoutUnwantedStream(run, input),
      new TextStreamCollector(),
      (onChunk) =>
        readAnswer<GenerateLine>(connection, '/api/generate', body, call, run, (line) =>
          onChunk(toChunk(line)),
        ),
    );
  };

interface StreamInput {
  readonly n?: number | null | undefined;
  readonly stream?: boolean | null | undefined;
}

/** Whole answers are collected as a stream of one line; nothing is forwarded for them. */
const withoutUnwantedStream = (run: Run, { stream }: StreamInput): Run =>
  stream ? run : { ...run, stream: () => undefined };

async function readAnswer<Line>(
  connection: Connection,
  path: string,
  body: object,
  { credential, input }: Call<'chat-completion'> | Call<'text-generation'>,
  { signal }: Run,
  onLine: (line: Line) => void,
): Promise<void> {
  if (input.stream) await connection.stream<Line>(path, body, credential, signal, onLine);
  else onLine(await connection.post<Line>(path, body, credential, signal));
}

function assertOneChoice({ n }: StreamInput): void {
  if (n != null && n > 1) throw unsupportedRequest('Ollama returns one choice per call. Leave `n` out.', 'n');
}

function findFinishReason({ done, done_reason: reason = 'stop' }: EndFields, hasToolCalls: boolean) {
  if (!done) return null;
  return hasToolCalls && reason === 'stop' ? 'tool_calls' : reason;
}

const toUsage = ({ done, prompt_eval_count: prompt = 0, eval_count: completion = 0 }: EndFields) =>
  done ? { prompt_tokens: prompt, completion_tokens: completion } : null;
