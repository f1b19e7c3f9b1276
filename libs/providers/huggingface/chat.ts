/** Chat through the router, which chooses the inference provider, or at a dedicated inference endpoint. */
import type { InferenceClient } from '@huggingface/inference';
import type { OutputOf } from '#catalogue';
import { collectStream } from '../collect-stream.ts';
import { invalidOutput } from '../failures.ts';
import type { Handler } from '../run.ts';
import { ChatStreamCollector, type ChatChunk } from '../stream-collectors.ts';
import { parseUsage } from '../usage.ts';
import type { Connection } from './connection.ts';

export const chatCompletion =
  (connection: Connection): Handler<'chat-completion'> =>
  async ({ model, credential, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    // The router's chat API reads the suffix itself, so the client needs no look-up of the model's provider.
    const { modelWithSuffix, endpointUrl } = connection.parseTarget(model);
    const target = { model: modelWithSuffix, modelWithSuffix, provider: null, endpointUrl };
    const body = input as unknown as Parameters<InferenceClient['chatCompletion']>[0];
    if (input.stream) {
      const streamed = { ...body, stream_options: { include_usage: true } };
      return collectStream<ChatChunk, OutputOf<'chat-completion'>>(
        'Hugging Face',
        run,
        new ChatStreamCollector(),
        (onChunk) =>
          connection.callTarget(target, credential, signal, async (client, { to, options }) => {
            const chunks = client.chatCompletionStream({ ...streamed, ...to }, options);
            for await (const chunk of chunks) onChunk(chunk);
          }),
      );
    }
    const answer = await connection.callTarget(target, credential, signal, (client, { to, options }) =>
      client.chatCompletion({ ...body, ...to }, options),
    );
    if (!Array.isArray(answer.choices)) throw invalidOutput('it has no choices');
    return {
      choices: answer.choices,
      usage: parseUsage(answer.usage),
    } as unknown as OutputOf<'chat-completion'>;
  };
