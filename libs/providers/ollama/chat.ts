/** `/api/chat` and `/api/generate`: streamed where the caller reads along, whole where not; one choice, as Ollama has it. */
import type { InputOf, OutputOf } from '#catalogue';
import { unsupportedRequest } from '../failures.ts';
import { collectStream } from '../collect-stream.ts';
import type { Handler, Run } from '../provider.ts';
import {
  ChatStreamCollector,
  TextStreamCollector,
  type ChatChunk,
  type TextChunk,
} from '../stream-collectors.ts';
import type { Connection } from './connection.ts';
import { toOllamaFormat, toOllamaOptions } from './options.ts';

interface Ended {
  readonly done?: boolean;
  readonly done_reason?: string;
  readonly prompt_eval_count?: number;
  readonly eval_count?: number;
}

interface ToolCall {
  readonly function: { readonly name: string; readonly arguments: unknown };
}

interface Said extends Ended {
  readonly message?: {
    readonly content?: string;
    readonly thinking?: string;
    readonly tool_calls?: readonly ToolCall[];
  };
}

export const chatCompletion =
  (deps: Connection): Handler<'chat-completion'> =>
  async ({ model, input }, run) => {
    oneChoice(input);
    const { tools, think, keep_alive } = input;
    const body = {
      ...{ model, tools, think, keep_alive },
      messages: input.messages.map(messageOf),
      options: toOllamaOptions(input),
      format: toOllamaFormat(input),
    };
    let calls = 0;
    const chunkOf = ({ message = {}, ...end }: Said): ChatChunk => {
      const { content, thinking, tool_calls: given = [] } = message;
      const toolCalls = given.map(({ function: called }) => ({
        index: calls,
        id: `call_${calls++}`,
        type: 'function',
        function: { name: called.name, arguments: JSON.stringify(called.arguments) },
      }));
      const delta = {
        ...(content && { content }),
        ...(thinking && { reasoning_content: thinking }),
        ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
      };
      return { choices: [{ index: 0, delta, finish_reason: reasonOf(end, calls > 0) }], usage: usageOf(end) };
    };
    return collectStream<ChatChunk, OutputOf<'chat-completion'>>(
      'Ollama',
      toldBy(run, input),
      new ChatStreamCollector(),
      (take) => read<Said>(deps, '/api/chat', body, input, run, (line) => take(chunkOf(line))),
    );
  };

interface Written extends Ended {
  readonly response?: string;
}

export const textGeneration =
  (deps: Connection): Handler<'text-generation'> =>
  async ({ model, input }, run) => {
    oneChoice(input);
    const { prompt, suffix, keep_alive } = input;
    const body = {
      ...{ model, prompt, suffix, keep_alive },
      options: toOllamaOptions(input),
      raw: suffix === undefined,
    };
    const chunkOf = ({ response, ...end }: Written): TextChunk => ({
      choices: [{ index: 0, ...(response && { text: response }), finish_reason: reasonOf(end, false) }],
      usage: usageOf(end),
    });
    return collectStream<TextChunk, OutputOf<'text-generation'>>(
      'Ollama',
      toldBy(run, input),
      new TextStreamCollector(),
      (take) => read<Written>(deps, '/api/generate', body, input, run, (line) => take(chunkOf(line))),
    );
  };

interface Asked {
  readonly n?: number | null | undefined;
  readonly stream?: boolean | null | undefined;
}

/** Nobody reads along where no stream was asked for. */
const toldBy = (run: Run, { stream }: Asked): Run => (stream ? run : { ...run, stream: () => undefined });

/** A whole answer is a stream of one line. */
async function read<Line>(
  deps: Connection,
  path: string,
  body: object,
  { stream }: Asked,
  { signal }: Run,
  take: (line: Line) => void,
): Promise<void> {
  if (stream) await deps.stream<Line>(path, body, signal, take);
  else take(await deps.post<Line>(path, body, signal));
}

function oneChoice({ n }: Asked): void {
  if (n != null && n > 1) throw unsupportedRequest('Ollama gives one answer a call: leave `n` out.', 'n');
}

function reasonOf({ done, done_reason: reason = 'stop' }: Ended, hasCalls: boolean): string | null {
  if (!done) return null;
  return hasCalls && reason === 'stop' ? 'tool_calls' : reason;
}

const usageOf = ({ done, prompt_eval_count: prompt = 0, eval_count: made = 0 }: Ended) =>
  done ? { prompt_tokens: prompt, completion_tokens: made } : null;

type Message = InputOf<'chat-completion'>['messages'][number];

/** Text in one piece, images beside it as base64, and a call's arguments as the object that they are. */
function messageOf(message: Message): object {
  const { role, content } = message;
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : (content ?? []);
  const texts: string[] = [];
  const images: string[] = [];
  for (const part of parts) {
    if (part.type === 'text') texts.push(part.text);
    else if (part.type === 'refusal') texts.push(part.refusal);
    else if (part.type === 'image_url') images.push(part.image_url.url.replace(/^data:[^,]*,/, ''));
    else throw unsupportedRequest('Ollama takes no sound in messages.', 'messages');
  }
  const calls = 'tool_calls' in message ? (message.tool_calls as readonly Called[] | undefined) : undefined;
  return {
    role: role === 'developer' ? 'system' : role,
    content: texts.join('\n'),
    ...(images.length > 0 && { images }),
    ...(calls && { tool_calls: calls.flatMap(calledOf) }),
  };
}

interface Called {
  readonly function?: { readonly name: string; readonly arguments: string } | undefined;
}

function calledOf({ function: called }: Called): ToolCall[] {
  if (!called) return [];
  try {
    return [{ function: { name: called.name, arguments: JSON.parse(called.arguments) as unknown } }];
  } catch {
    throw unsupportedRequest(`The arguments of the call of '${called.name}' are not JSON.`, 'messages');
  }
}
