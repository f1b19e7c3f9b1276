/** `/v1/chat/completions` and `/v1/completions`, streamed if the caller asked for a stream. */
import type OpenAI from 'openai';
import type { OutputOf } from '#catalogue';
import { collectStream } from '../collect-stream.ts';
import { invalidOutput } from '../failures.ts';
import type { Handler } from '../run.ts';
import {
  ChatStreamCollector,
  TextStreamCollector,
  type ChatChunk,
  type TextChunk,
} from '../stream-collectors.ts';
import { parseUsage } from '../usage.ts';
import type { Connection } from './connection.ts';

const streamed = { stream: true, stream_options: { include_usage: true } } as const;

export const chatCompletion =
  (connection: Connection): Handler<'chat-completion'> =>
  async ({ model, credential, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    const body = { ...input, model } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
    if (input.stream) {
      return collectStream<ChatChunk, OutputOf<'chat-completion'>>(
        connection.name,
        run,
        new ChatStreamCollector(),
        (onChunk) =>
          connection.call(credential, signal, async (client) => {
            const chunks = await client.chat.completions.create({ ...body, ...streamed }, { signal });
            for await (const chunk of chunks) onChunk(chunk);
          }),
      );
    }
    const answer = await connection.callForJson(credential, signal, (client) =>
      client.chat.completions.create(body, { signal }),
    );
    if (!Array.isArray(answer.choices)) throw invalidOutput('it has no choices');
    return {
      choices: answer.choices,
      usage: parseUsage(answer.usage),
    } as unknown as OutputOf<'chat-completion'>;
  };

export const textGeneration =
  (connection: Connection): Handler<'text-generation'> =>
  async ({ model, credential, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    const body = { ...input, model } as unknown as OpenAI.CompletionCreateParamsNonStreaming;
    if (input.stream) {
      return collectStream<TextChunk, OutputOf<'text-generation'>>(
        connection.name,
        run,
        new TextStreamCollector(),
        (onChunk) =>
          connection.call(credential, signal, async (client) => {
            const chunks = await client.completions.create({ ...body, ...streamed }, { signal });
            for await (const chunk of chunks) onChunk(chunk);
          }),
      );
    }
    const answer = await connection.callForJson(credential, signal, (client) =>
      client.completions.create(body, { signal }),
    );
    if (!Array.isArray(answer.choices)) throw invalidOutput('it has no choices');
    return {
      choices: answer.choices,
      usage: parseUsage(answer.usage),
    } as unknown as OutputOf<'text-generation'>;
  };
