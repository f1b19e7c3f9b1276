/** `/v1/chat/completions` and `/v1/completions`: streamed where the caller reads along, whole where not. */
import type OpenAI from 'openai';
import type { OutputOf } from '#catalogue';
import { misfit } from '../failures.ts';
import { gather, usageOf } from '../gather.ts';
import type { Handler } from '../provider.ts';
import { StreamedChoices, StreamedTexts, type ChatChunk, type TextChunk } from '../streamed.ts';
import type { Connection } from './connection.ts';

const streamed = { stream: true, stream_options: { include_usage: true } } as const;

export const chatCompletion =
  (on: Connection): Handler<'chat-completion'> =>
  async ({ model, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    const body = { ...input, model } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
    if (input.stream) {
      return gather<ChatChunk, OutputOf<'chat-completion'>>(on.name, run, new StreamedChoices(), (take) =>
        on.call(signal, async (client) => {
          const chunks = await client.chat.completions.create({ ...body, ...streamed }, { signal });
          for await (const chunk of chunks) take(chunk);
        }),
      );
    }
    const answer = await on.ask(signal, (client) => client.chat.completions.create(body, { signal }));
    if (!Array.isArray(answer.choices)) throw misfit('it holds no choices');
    return {
      choices: answer.choices,
      usage: usageOf(answer.usage),
    } as unknown as OutputOf<'chat-completion'>;
  };

export const textGeneration =
  (on: Connection): Handler<'text-generation'> =>
  async ({ model, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    const body = { ...input, model } as unknown as OpenAI.CompletionCreateParamsNonStreaming;
    if (input.stream) {
      return gather<TextChunk, OutputOf<'text-generation'>>(on.name, run, new StreamedTexts(), (take) =>
        on.call(signal, async (client) => {
          const chunks = await client.completions.create({ ...body, ...streamed }, { signal });
          for await (const chunk of chunks) take(chunk);
        }),
      );
    }
    const answer = await on.ask(signal, (client) => client.completions.create(body, { signal }));
    if (!Array.isArray(answer.choices)) throw misfit('it holds no choices');
    return {
      choices: answer.choices,
      usage: usageOf(answer.usage),
    } as unknown as OutputOf<'text-generation'>;
  };
