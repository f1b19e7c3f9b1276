/** fal's queue: https://docs.fal.ai/model-endpoints/queue */
import { toObjects, isObject } from '../completion-choices.ts';
import { invalidOutput } from '../failures.ts';
import { parsePercent } from '../parse-percent.ts';
import { readRunId, readRunState, type RunStates } from '../run-states.ts';
import { routerUrl } from './connection.ts';
import type { CreateQueue } from './queue.ts';

interface FalStatus {
  readonly status?: unknown;
  readonly queue_position?: unknown;
  readonly logs?: unknown;
  readonly error?: unknown;
}

/** A run that fails is `COMPLETED` too: its result is then an error. */
const states: RunStates = {
  running: ['in_queue', 'in_progress'],
  done: ['completed', 'ok'],
  failed: ['error', 'failed'],
};

export const createFalQueue: CreateQueue = (sendRequest, modelId, reportProgress) => {
  const send = <T>(path: string, init?: RequestInit) =>
    sendRequest<T>(`${routerUrl}/fal-ai${path}${path.includes('?') ? '&' : '?'}_subdomain=queue`, init);
  return {
    async start(input) {
      const started = await send<{ request_id?: unknown; response_url?: unknown }>(`/${modelId}`, {
        method: 'POST',
        body: JSON.stringify(input),
      });
      readRunId(started.request_id);
      const url = typeof started.response_url === 'string' ? URL.parse(started.response_url) : null;
      // The path of the URL is the id: it may name another app than the Hub's mapping does.
      return readRunId(url?.pathname);
    },
    async poll(id) {
      const { status, queue_position: position, logs, error } = await send<FalStatus>(`${id}/status?logs=1`);
      const state = typeof status === 'string' ? status : '';
      const message = toObjects(logs).at(-1)?.['message'];
      const log = typeof message === 'string' ? message.trim().split('\n').at(-1) : undefined;
      const percent = parsePercent(log);
      reportProgress({
        stage: state.toLowerCase(),
        ...(typeof position === 'number' && { queuePosition: position }),
        ...(log && { log }),
        ...(percent !== undefined && { percent }),
      });
      return readRunState(state, states, error);
    },
    async cancel(id) {
      await send(`${id}/cancel`, { method: 'PUT' });
    },
    async getResultUrl(id) {
      const result = await send<Record<string, unknown>>(id);
      const { video, images, image, audio, videos } = result;
      const files = [video, image, audio, ...toObjects(images), ...toObjects(videos)];
      const file = files.find(
        (one) => typeof one === 'string' || (isObject(one) && typeof one['url'] === 'string'),
      );
      if (file === undefined) throw invalidOutput('the queue returned no result', undefined, result);
      return typeof file === 'string' ? file : (file as { url: string }).url;
    },
  };
};
