/** The hosted providers against the scripted upstream, and an input for each of their kinds. */
import { findKind, type KindId, type Media } from '#catalogue';
import { createProviders, type Provider, type Run } from '#providers';
import { png, wav } from '../../support/upstream/model-outputs.ts';
import type { ScriptedUpstream } from '../../support/upstream/server.ts';

export const secret = 'hf_secretsecretsecret';

export const createProvidersAt = (upstream: Pick<ScriptedUpstream, 'url'>) =>
  createProviders({
    huggingFace: {
      token: secret,
      inferenceEndpoints: new Map([['mine', `${upstream.url}/hf-inference/models/me/feature-extraction`]]),
      hubUrl: upstream.url,
      routerUrl: upstream.url,
      concurrency: 4,
    },
    ollama: { url: upstream.url, key: 'sk-secretsecretsecret', concurrency: 4 },
    openaiCompatible: [
      { name: 'openai', url: `${upstream.url}/v1`, key: 'sk-secretsecretsecret', concurrency: 4 },
    ],
  });

const types = { image: [png, 'image/png'], audio: [wav, 'audio/wav'] } as const;

/** The kind's own example as a provider gets it: media sources are replaced by bytes. */
export function buildInput(kind: KindId): unknown {
  const entry = findKind(kind);
  const { examples, body, packing } = entry;
  const [{ model, input, options }] = examples;
  const parsed = body.parse({ model, ...structuredClone(input), ...options }) as never;
  for (const { rule, replace } of entry.listMediaFields?.(parsed) ?? []) {
    const [bytes, type] = types[rule.types[0] === 'audio' ? 'audio' : 'image'];
    replace({ bytes, type } satisfies Media);
  }
  return packing ? packing.join([parsed]) : entry.toInput(parsed);
}

/** A kind's example may have options that a provider refuses. */
export function dropRefused(provider: Provider, kind: KindId, input: object): object {
  const isTaken = ([name, value]: [string, unknown]) => {
    try {
      provider.checkOptions?.(kind, { [name]: value });
      return true;
    } catch {
      return false;
    }
  };
  return Object.fromEntries(Object.entries(input).filter(isTaken));
}

export interface RunRecord {
  readonly progress: object[];
  readonly deltas: object[];
  readonly runIds: string[];
}

export function createRun(over: Partial<Run> = {}): Run & { readonly recorded: RunRecord } {
  const recorded: RunRecord = { progress: [], deltas: [], runIds: [] };
  return {
    signal: new AbortController().signal,
    reportProgress: (one) => void recorded.progress.push(one),
    stream: (delta) => void recorded.deltas.push(delta),
    saveRunId: async (id) => void recorded.runIds.push(id),
    ...over,
    recorded,
  };
}
