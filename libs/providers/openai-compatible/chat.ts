/** `/v1/chat/completions` and `/v1/completions`: streamed where the caller reads along, whole where not. */
import type OpenAI from 'openai';
import type { OutputOf } from '#catalogue';
import { invalidOutput } from '../failures.ts';
import { collectStream, parseUsage } from '../collect-stream.ts';
import type { Handler } from '../provider.ts';
import {
  ChatStreamCollector,
  TextStreamCollector,
  type ChatChunk,
  type TextChunk,
} from '../stream-collectors.ts';
import type { Connection } from './connection.ts';

const streamed = { stream: true, stream_options: { include_usage: true } } as const;

export const chatCompletion =
  (deps: Connection): Handler<'chat-completion'> =>
  async ({ model, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    const body = { ...input, model } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
    if (input.stream) {
      return collectStream<ChatChunk, OutputOf<'chat-completion'>>(
        deps.name,
        run,
        new ChatStreamCollector(),
        (take) =>
          deps.call(signal, async (client) => {
            const chunks = await client.chat.completions.create({ ...body, ...streamed }, { signal });
            for await (const chunk of chunks) take(chunk);
          }),
      );
    }
    const answer = await deps.callForJson(signal, (client) =>
      client.chat.completions.create(body, { signal }),
    );
    if (!Array.isArray(answer.choices)) throw invalidOutput('it holds no choices');
    return {
      choices: answer.choices,
      usage: parseUsage(answer.usage),
    } as unknown as OutputOf<'chat-completion'>;
  };

export const textGeneration =
  (deps: Connection): Handler<'text-generation'> =>
  async ({ model, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    const body = { ...input, model } as unknown as OpenAI.CompletionCreateParamsNonStreaming;
    if (input.stream) {
      return collectStream<TextChunk, OutputOf<'text-generation'>>(
        deps.name,
        run,
        new TextStreamCollector(),
        (take) =>
          deps.call(signal, async (client) => {
            const chunks = await client.completions.create({ ...body, ...streamed }, { signal });
            for await (const chunk of chunks) take(chunk);
          }),
      );
    }
    const answer = await deps.callForJson(signal, (client) => client.completions.create(body, { signal }));
    if (!Array.isArray(answer.choices)) throw invalidOutput('it holds no choices');
    return {
      choices: answer.choices,
      usage: parseUsage(answer.usage),
    } as unknown as OutputOf<'text-generation'>;
  };
