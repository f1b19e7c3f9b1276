/** Replicate's predictions: https://replicate.com/docs/reference/http */
import { invalidOutput } from '../failures.ts';
import { parsePercent } from '../parse-percent.ts';
import { readRunId, readRunState, type RunStates } from '../run-states.ts';
import { routerUrl } from './connection.ts';
import type { CreateQueue } from './queue.ts';

interface Prediction {
  readonly id?: unknown;
  readonly status?: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
  readonly logs?: unknown;
}

/** https://replicate.com/docs/topics/predictions/lifecycle: `aborted` is the end of a run that did not start in time. */
const states: RunStates = {
  running: ['starting', 'processing'],
  done: ['succeeded', 'successful'],
  failed: ['failed', 'canceled', 'aborted'],
};

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
      return readRunId(id);
    },
    async poll(id) {
      const { status, logs, error } = await send(`/predictions/${id}`);
      const state = typeof status === 'string' ? status : '';
      const log = typeof logs === 'string' ? logs.trim().split('\n').at(-1) : undefined;
      const percent = parsePercent(log);
      reportProgress({ stage: state, ...(log && { log }), ...(percent !== undefined && { percent }) });
      return readRunState(state, states, error);
    },
    async cancel(id) {
      await send(`/predictions/${id}/cancel`, { method: 'POST' });
    },
    async getResultUrl(id) {
      const { output } = await send(`/predictions/${id}`);
      const url = findUrl(output);
      if (url === undefined) throw invalidOutput('the queue returned no result', undefined, output ?? null);
      return url;
    },
  };
};

/** A URL, a list of URLs, or an object with one. */
function findUrl(output: unknown): string | undefined {
  if (typeof output === 'string') return output || undefined;
  if (typeof output !== 'object' || output === null) return undefined;
  return Object.values(output)
    .map(findUrl)
    .find((url) => url !== undefined);
}
