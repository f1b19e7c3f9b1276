/** fal's queue: https://docs.fal.ai/model-endpoints/queue */
import { invalidOutput } from '../failures.ts';
import { routerUrl } from './connection.ts';
import type { CreateQueue } from './queue.ts';

interface FalStatus {
  readonly status: string;
  readonly queue_position?: number;
  readonly logs?: readonly { readonly message: string }[] | null;
}

export const createFalQueue: CreateQueue = (sendRequest, modelId, reportProgress) => {
  const send = <T>(path: string, init?: RequestInit) =>
    sendRequest<T>(`${routerUrl}/fal-ai${path}${path.includes('?') ? '&' : '?'}_subdomain=queue`, init);
  return {
    async start(input) {
      const started = await send<{ request_id?: string; response_url?: string }>(`/${modelId}`, {
        method: 'POST',
        body: JSON.stringify(input),
      });
      if (!started.request_id || !started.response_url) throw invalidOutput('the queue returned no id');
      // The path of the URL is the id: it may name another app than the Hub's mapping does.
      return new URL(started.response_url).pathname;
    },
    async poll(id) {
      const { status, queue_position: queuePosition, logs } = await send<FalStatus>(`${id}/status?logs=1`);
      const log = logs?.at(-1)?.message;
      reportProgress({
        stage: status.toLowerCase(),
        ...(queuePosition !== undefined && { queuePosition }),
        ...(log && { log }),
      });
      return status === 'COMPLETED';
    },
    async cancel(id) {
      await send(`${id}/cancel`, { method: 'PUT' });
    },
    async getResultUrl(id) {
      const result = await send<{ video?: { url?: string }; images?: { url?: string }[] }>(id);
      const url = result.video?.url ?? result.images?.[0]?.url;
      if (!url) throw invalidOutput('the queue returned no result');
      return url;
    },
  };
};
