/**
 * Runs image and video generation through the queues of the inference providers behind the router. The client library
 * would start the run and wait for it in memory. Here the run's id is stored, so that a worker resumes it after a crash.
 */
import type { Media } from '#catalogue';
import { unsupportedRequest } from '../failures.ts';
import { pollUntilDone } from '../poll-until-done.ts';
import type { ModelAccess, Run } from '../run.ts';
import { hubUrl, type Connection } from './connection.ts';
import { createFalQueue } from './fal-queue.ts';
import type { CreateQueue, SendRequest } from './queue.ts';
import { createReplicateQueue } from './replicate-queue.ts';

/** The provider's time limit for accepting a cancel. */
const cancelTimeoutMs = 10_000;

const queues: Readonly<Record<string, CreateQueue>> = {
  'fal-ai': createFalQueue,
  replicate: createReplicateQueue,
};

/** An inference provider that serves the model, as the Hub lists it. */
interface ProviderMapping {
  readonly provider: string;
  readonly providerId: string;
  readonly status: string;
}

type HubMapping = Record<string, Omit<ProviderMapping, 'provider'>> | readonly ProviderMapping[];

/**
 * Finds the provider with a queue that serves the model, or that has the run which an earlier attempt started.
 * @returns null if the model is called without a queue.
 */
export async function findQueue(
  connection: Connection,
  access: ModelAccess,
  run: Run,
): Promise<ProviderMapping | null> {
  const target = connection.parseTarget(access.model);
  if (target.endpointUrl) return null;
  const [startedAt] = run.resume?.split(' ') ?? [];
  if (startedAt) return { provider: startedAt, providerId: '', status: 'live' };
  const { inferenceProviderMapping: mapping } = await connection.request<{
    inferenceProviderMapping?: HubMapping | null;
  }>(
    `${hubUrl}/api/models/${target.model}?expand[]=inferenceProviderMapping`,
    { ...access, model: target.model },
    run.signal,
  );
  const candidates = listMappings(mapping ?? {}).filter(
    ({ provider }) => target.provider === null || provider === target.provider,
  );
  if (candidates.length === 0) {
    const message = `No inference provider serves this model: see ${hubUrl}/${target.model}.`;
    throw unsupportedRequest(message, 'model');
  }
  const withQueue = candidates.find(({ provider }) => provider in queues);
  // Unless the caller named the provider, the first of the list is used, with a queue or without.
  return target.provider !== null || withQueue === candidates[0] ? (withQueue ?? null) : null;
}

function listMappings(mapping: HubMapping): readonly ProviderMapping[] {
  if (Array.isArray(mapping)) return mapping as readonly ProviderMapping[];
  const entries = Object.entries(mapping as Record<string, Omit<ProviderMapping, 'provider'>>);
  return entries.map(([provider, entry]) => ({ ...entry, provider }));
}

export async function runInQueue(
  connection: Connection,
  access: ModelAccess,
  { provider, providerId }: ProviderMapping,
  input: Readonly<Record<string, unknown>>,
  run: Run,
): Promise<Media> {
  const { signal, resume } = run;
  const queue = queues[provider]!(createSender(connection, access, signal), providerId, (progress) =>
    run.reportProgress(progress),
  );
  // Stored with the provider's name: when the run is resumed, another provider may serve the model.
  const queueRun = {
    signal,
    resume: resume?.slice(provider.length + 1),
    saveRunId: (id: string) => run.saveRunId(`${provider} ${id}`),
  };
  const id = await pollUntilDone(queueRun, {
    start: () => queue.start(input),
    poll: (runId) => queue.poll(runId),
    cancel: (runId) => cancelInQueue(connection, access, `${provider} ${runId}`),
  });
  return connection.download(await queue.getResultUrl(id), signal);
}

/** @param storedRunId the provider's name and its id of the run, as `runInQueue` stored them. */
export async function cancelInQueue(
  connection: Connection,
  access: ModelAccess,
  storedRunId: string,
): Promise<void> {
  const [provider = '', id = ''] = storedRunId.split(' ', 2);
  const send = createSender(connection, access, AbortSignal.timeout(cancelTimeoutMs));
  await queues[provider]?.(send, '', () => undefined).cancel(id);
}

function createSender(connection: Connection, access: ModelAccess, signal: AbortSignal): SendRequest {
  const { model } = connection.parseTarget(access.model);
  return (url, init) => connection.request(url, { ...access, model }, signal, init);
}
