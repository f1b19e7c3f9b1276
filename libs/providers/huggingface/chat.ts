/** Chat through the router, which chooses who serves the model, or at an endpoint; streamed where the caller reads along. */
import type { InferenceClient } from '@huggingface/inference';
import type { OutputOf } from '#catalogue';
import { misfit } from '../failures.ts';
import { gather, usageOf } from '../gather.ts';
import type { Handler } from '../provider.ts';
import { StreamedChoices, type ChatChunk } from '../streamed.ts';
import type { Connection } from './connection.ts';
import type { Endpoints } from './drawing.ts';
import { targetOf } from './target.ts';

export const chatCompletion =
  (on: Connection, endpoints: Endpoints): Handler<'chat-completion'> =>
  async ({ model, input: { metadata: _, ...input } }, run) => {
    const { signal } = run;
    // The router reads the suffix itself, and needs no look-up of who serves the model.
    const { routed, endpointUrl } = targetOf(model, endpoints);
    const target = { model: routed, routed, provider: null, endpointUrl };
    const body = input as unknown as Parameters<InferenceClient['chatCompletion']>[0];
    if (input.stream) {
      const asked = { ...body, stream_options: { include_usage: true } };
      return gather<ChatChunk, OutputOf<'chat-completion'>>(
        'Hugging Face',
        run,
        new StreamedChoices(),
        (take) =>
          on.call(target, signal, async (client, { to, options }) => {
            for await (const chunk of client.chatCompletionStream({ ...asked, ...to }, options)) take(chunk);
          }),
      );
    }
    const answer = await on.call(target, signal, (client, { to, options }) =>
      client.chatCompletion({ ...body, ...to }, options),
    );
    if (!Array.isArray(answer.choices)) throw misfit('it holds no choices');
    return {
      choices: answer.choices,
      usage: usageOf(answer.usage),
    } as unknown as OutputOf<'chat-completion'>;
  };
