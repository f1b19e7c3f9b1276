/** Replicate's predictions: https://replicate.com/docs/reference/http */
import { ProviderFailure } from '#domain';
import { invalidOutput } from '../failures.ts';
import { routerUrl } from './connection.ts';
import type { CreateQueue } from './queue.ts';

interface Prediction {
  readonly id?: string;
  readonly status: string;
  readonly output?: string | readonly string[] | null;
  readonly error?: string | null;
  readonly logs?: string | null;
}

export const createReplicateQueue: CreateQueue = (sendRequest, modelId, reportProgress) => {
  const send = (path: string, init?: RequestInit) =>
    sendRequest<Prediction>(`${routerUrl}/replicate/v1${path}`, init);
  return {
    async start(input) {
      const [slug, version] = modelId.split(':');
      const { id } = await send(version ? '/predictions' : `/models/${slug}/predictions`, {
        method: 'POST',
        body: JSON.stringify({ input, ...(version && { version }) }),
      });
      if (!id) throw invalidOutput('the queue returned no id');
      return id;
    },
    async poll(id) {
      const { status, logs, error } = await send(`/predictions/${id}`);
      if (status === 'failed' || status === 'canceled') throw buildFailure(error ?? status);
      const log = logs?.trim().split('\n').at(-1);
      const [, percent] = /(\d{1,3})%\|/.exec(log ?? '') ?? [];
      reportProgress({
        stage: status,
        ...(log && { log }),
        ...(percent && { percent: Math.min(100, Number(percent)) }),
      });
      return status === 'succeeded';
    },
    async cancel(id) {
      await send(`/predictions/${id}/cancel`, { method: 'POST' });
    },
    async getResultUrl(id) {
      const { output } = await send(`/predictions/${id}`);
      const url = typeof output === 'string' ? output : output?.[0];
      if (!url) throw invalidOutput('the queue returned no result');
      return url;
    },
  };
};

const buildFailure = (reason: string) =>
  new ProviderFailure(`The prediction failed: ${reason.slice(0, 400)}`, { status: 422, retryable: false });
