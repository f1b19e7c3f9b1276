/**
 * Pictures and films through the queues of the inference providers, fal's (https://docs.fal.ai/model-endpoints/queue)
 * and Replicate's (https://replicate.com/docs/reference/http), both behind the router. The client would begin the run
 * and wait for it in memory; here its id is kept, so that a worker that comes after a crash goes on with it.
 */
import type { Media } from '#catalogue';
import { ProviderFailure } from '#domain';
import { invalidOutput, unsupportedRequest } from '../failures.ts';
import { readMedia } from '../response-media.ts';
import { pollUntilDone } from '../poll-until-done.ts';
import type { Run } from '../provider.ts';
import { createSilentRun } from '../silent-run.ts';
import type { Connection } from './connection.ts';
import type { Target } from './target.ts';

const router = 'https://router.huggingface.co';
const hub = 'https://huggingface.co';

/** How long the provider has to take note of a cancel. */
const cancelMs = 10_000;

interface Mapped {
  readonly provider: string;
  readonly providerId: string;
  readonly status: string;
}

type Mapping = Record<string, Omit<Mapped, 'provider'>> | readonly Mapped[];

/** Who of those that have a queue serves the model, or has the run that an earlier attempt began; null where none. */
export async function findQueue(deps: Connection, target: Target, run: Run): Promise<Mapped | null> {
  const [begunAt] = run.resume?.split(' ') ?? [];
  if (begunAt) return { provider: begunAt, providerId: '', status: 'live' };
  const path = `${hub}/api/models/${target.model}?expand[]=inferenceProviderMapping`;
  const { inferenceProviderMapping: mapping = {} } = await deps.request<{
    inferenceProviderMapping?: Mapping;
  }>(path, target.model, run.signal);
  const entries = Array.isArray(mapping)
    ? (mapping as readonly Mapped[])
    : Object.entries(mapping as Record<string, Omit<Mapped, 'provider'>>).map(([provider, entry]) => ({
        ...entry,
        provider,
      }));
  const wanted = entries.filter(({ provider }) => target.provider === null || provider === target.provider);
  if (wanted.length === 0)
    throw unsupportedRequest(`No inference provider serves this model: see ${hub}/${target.model}.`, 'model');
  const first = wanted.find(({ provider }) => provider in queues);
  return target.provider !== null || first === wanted[0] ? (first ?? null) : null;
}

export async function runInQueue(
  deps: Connection,
  target: Target,
  { provider, providerId }: Mapped,
  input: Readonly<Record<string, unknown>>,
  run: Run,
): Promise<Media> {
  const queue = queues[provider]!(deps, providerId, target, run);
  // The id is kept with who has it: by the time it is resumed the model may be somebody else's.
  const { signal, resume } = run;
  const kept = {
    signal,
    resume: resume?.slice(provider.length + 1),
    saveRunId: (begun: string) => run.saveRunId(`${provider} ${begun}`),
  };
  const id = await pollUntilDone(kept, { ...queue, start: () => queue.begin(input) });
  return readMedia(await deps.download(await queue.result(id), run.signal), 'application/octet-stream');
}

/** @param kept the run as it was kept: who has it, and its id there. */
export async function cancelInQueue(deps: Connection, target: Target, kept: string): Promise<void> {
  const [provider = '', id = ''] = kept.split(' ', 2);
  await queues[provider]?.(deps, '', target, createSilentRun(AbortSignal.timeout(cancelMs))).cancel(id);
}

interface Queue {
  begin(input: Readonly<Record<string, unknown>>): Promise<string>;
  poll(id: string): Promise<boolean>;
  cancel(id: string): Promise<void>;
  /** URL of what was made. */
  result(id: string): Promise<string>;
}

type MakeQueue = (deps: Connection, providerId: string, target: Target, run: Run) => Queue;

interface FalStatus {
  readonly status: string;
  readonly queue_position?: number;
  readonly logs?: readonly { readonly message: string }[] | null;
}

const fal: MakeQueue = (deps, providerId, { model }, run) => {
  const at = `${router}/fal-ai`;
  const ask = <T>(path: string, init?: RequestInit, signal = run.signal) =>
    deps.request<T>(`${at}${path}${path.includes('?') ? '&' : '?'}_subdomain=queue`, model, signal, init);
  return {
    async begin(input) {
      const begun = await ask<{ request_id?: string; response_url?: string }>(`/${providerId}`, post(input));
      if (!begun.request_id || !begun.response_url) throw invalidOutput('the queue gave no id');
      // Its path may name another app than the mapping does.
      return new URL(begun.response_url).pathname;
    },
    async poll(id) {
      const { status, queue_position: queuePosition, logs } = await ask<FalStatus>(`${id}/status?logs=1`);
      const log = logs?.at(-1)?.message;
      run.reportProgress({
        stage: status.toLowerCase(),
        ...(queuePosition !== undefined && { queuePosition }),
        ...(log && { log }),
      });
      return status === 'COMPLETED';
    },
    async cancel(id) {
      await ask(`${id}/cancel`, { method: 'PUT' }, AbortSignal.timeout(cancelMs));
    },
    async result(id) {
      const made = await ask<{ video?: { url?: string }; images?: { url?: string }[] }>(id);
      const url = made.video?.url ?? made.images?.[0]?.url;
      if (!url) throw invalidOutput('the queue gave no result');
      return url;
    },
  };
};

interface Prediction {
  readonly id?: string;
  readonly status: string;
  readonly output?: string | readonly string[] | null;
  readonly error?: string | null;
  readonly logs?: string | null;
}

const replicate: MakeQueue = (deps, providerId, { model }, run) => {
  const at = `${router}/replicate/v1`;
  const ask = (path: string, init?: RequestInit, signal = run.signal) =>
    deps.request<Prediction>(`${at}${path}`, model, signal, init);
  return {
    async begin(input) {
      const [slug, version] = providerId.split(':');
      const path = version ? '/predictions' : `/models/${slug}/predictions`;
      const { id } = await ask(path, post({ input, ...(version && { version }) }));
      if (!id) throw invalidOutput('the queue gave no id');
      return id;
    },
    async poll(id) {
      const { status, logs, error } = await ask(`/predictions/${id}`);
      if (status === 'failed' || status === 'canceled') throw failed(error ?? status);
      const log = logs?.trim().split('\n').at(-1);
      const [, percent] = /(\d{1,3})%\|/.exec(log ?? '') ?? [];
      run.reportProgress({
        stage: status,
        ...(log && { log }),
        ...(percent && { percent: Math.min(100, Number(percent)) }),
      });
      return status === 'succeeded';
    },
    async cancel(id) {
      await ask(`/predictions/${id}/cancel`, { method: 'POST' }, AbortSignal.timeout(cancelMs));
    },
    async result(id) {
      const { output } = await ask(`/predictions/${id}`);
      const url = typeof output === 'string' ? output : output?.[0];
      if (!url) throw invalidOutput('the queue gave no result');
      return url;
    },
  };
};

const queues: Readonly<Record<string, MakeQueue>> = { 'fal-ai': fal, replicate };

const post = (body: object): RequestInit => ({ method: 'POST', body: JSON.stringify(body) });

const failed = (why: string) =>
  new ProviderFailure(`The provider could not make it: ${why.slice(0, 400)}`, {
    status: 422,
    retryable: false,
  });
