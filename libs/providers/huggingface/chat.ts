/** Chat through the router, which chooses who serves the model, or at an endpoint; streamed where the caller reads along. */
import type { InferenceClient } from '@huggingface/inference';
import type { OutputOf } from '#catalogue';
import { invalidOutput } from '../failures.ts';
import { collectStream, parseUsage } from '../collect-stream.ts';
import type { Handler } from '../provider.ts';
import { ChatStreamCollector, type ChatChunk } from '../stream-collectors.ts';
import type { Connection } from './connection.ts';
import type { InferenceEndpoints } from './images.ts';
import { parseTarget } from './target.ts';

export const chatCompletion =
  (deps: Connection, endpoints: InferenceEndpoints): Handler<'chat-completion'> =>
  async ({ model, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    // The router reads the suffix itself, and needs no look-up of who serves the model.
    const { routed, endpointUrl } = parseTarget(model, endpoints);
    const target = { model: routed, routed, provider: null, endpointUrl };
    const body = input as unknown as Parameters<InferenceClient['chatCompletion']>[0];
    if (input.stream) {
      const asked = { ...body, stream_options: { include_usage: true } };
      return collectStream<ChatChunk, OutputOf<'chat-completion'>>(
        'Hugging Face',
        run,
        new ChatStreamCollector(),
        (take) =>
          deps.call(target, signal, async (client, { to, options }) => {
            for await (const chunk of client.chatCompletionStream({ ...asked, ...to }, options)) take(chunk);
          }),
      );
    }
    const answer = await deps.call(target, signal, (client, { to, options }) =>
      client.chatCompletion({ ...body, ...to }, options),
    );
    if (!Array.isArray(answer.choices)) throw invalidOutput('it holds no choices');
    return {
      choices: answer.choices,
      usage: parseUsage(answer.usage),
    } as unknown as OutputOf<'chat-completion'>;
  };
