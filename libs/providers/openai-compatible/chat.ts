/** `/v1/chat/completions` and `/v1/completions`, streamed if the caller asked for a stream. */
import type OpenAI from 'openai';
import type { APIPromise } from 'openai';
import type { OutputOf } from '#catalogue';
import { collectStream } from '../collect-stream.ts';
import { readAnswer } from '../read-stream.ts';
import type { Call, Handler, Run } from '../run.ts';
import { createChatCollector, createTextCollector, type CompletionCollector } from '../stream-collectors.ts';
import { readCostHeader, type Connection } from './connection.ts';

export const chatCompletion =
  (connection: Connection): Handler<'chat-completion'> =>
  (call, run) =>
    complete<OutputOf<'chat-completion'>>(connection, call, run, createChatCollector(), (client, body) =>
      client.chat.completions.create(body as unknown as OpenAI.ChatCompletionCreateParams, {
        signal: run.signal,
      }),
    );

export const textGeneration =
  (connection: Connection): Handler<'text-generation'> =>
  (call, run) =>
    complete<OutputOf<'text-generation'>>(connection, call, run, createTextCollector(), (client, body) =>
      client.completions.create(body as unknown as OpenAI.CompletionCreateParams, { signal: run.signal }),
    );

function complete<Output extends object>(
  connection: Connection,
  { model, credential, input }: Call<'chat-completion'> | Call<'text-generation'>,
  run: Run,
  collector: CompletionCollector,
  send: (client: OpenAI, body: object) => APIPromise<unknown>,
): Promise<Output> {
  const { metadata: _, stream_options: streamOptions, ...fields } = input;
  const isStreamed = input.stream === true;
  const streaming = { stream: true, stream_options: { ...streamOptions, include_usage: true } };
  const body = { ...fields, model, ...(isStreamed && streaming) };
  return collectStream<Output>(connection.name, run, isStreamed, collector, (onPart) =>
    connection.call({ model, credential }, run.signal, async (client) => {
      const response = await send(client, body).asResponse();
      const cost = readCostHeader(response);
      for await (const part of readAnswer(response)) onPart(withCost(part, isStreamed ? undefined : cost));
    }),
  );
}

/** The headers of a stream are sent before the cost is known. A cost in the body takes precedence. */
function withCost(part: { isChunk: boolean; body: unknown }, cost: number | undefined) {
  if (cost === undefined || typeof part.body !== 'object') return part;
  const { usage } = part.body as { usage?: { cost?: unknown } | null };
  return usage?.cost == null ? { ...part, body: { ...part.body, usage: { ...usage, cost } } } : part;
}
