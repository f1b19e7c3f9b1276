/** Chat through the router, which chooses the inference provider, or at a dedicated inference endpoint. */
import type { OutputOf } from '#catalogue';
import { collectStream } from '../collect-stream.ts';
import { readAnswer } from '../read-stream.ts';
import type { Handler } from '../run.ts';
import { createChatCollector } from '../stream-collectors.ts';
import { routerUrl, type Connection } from './connection.ts';

export const chatCompletion =
  (connection: Connection): Handler<'chat-completion'> =>
  async ({ model, credential, input }, run) => {
    const { metadata: _, stream_options: streamOptions, ...fields } = input;
    // The router's chat API reads the suffix itself, so no look-up of the model's provider is needed.
    const { modelWithSuffix, endpointUrl } = connection.parseTarget(model);
    const isStreamed = input.stream === true;
    const streaming = { stream: true, stream_options: { ...streamOptions, include_usage: true } };
    const body = { ...fields, model: modelWithSuffix, ...(isStreamed && streaming) };
    const init = { method: 'POST', body: JSON.stringify(body) };
    const url = endpointUrl === undefined ? `${routerUrl}/v1/chat/completions` : toChatUrl(endpointUrl);
    const access = { model: modelWithSuffix, credential };
    return collectStream<OutputOf<'chat-completion'>>(
      'Hugging Face',
      run,
      isStreamed,
      createChatCollector(),
      (onPart) =>
        connection.open(url, access, run.signal, init, async (response) => {
          for await (const part of readAnswer(response)) onPart(part);
        }),
    );
  };

/** As the client library builds it: an endpoint may be set with or without `/v1`. */
function toChatUrl(endpointUrl: string): string {
  const url = endpointUrl.replace(/\/+$/, '');
  if (url.endsWith('/chat/completions')) return url;
  return url.endsWith('/v1') ? `${url}/chat/completions` : `${url}/v1/chat/completions`;
}
