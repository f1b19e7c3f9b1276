/** Finds the provider that serves a model: the part of the model's name before the first slash decides. */
import { kinds, type KindId } from '#catalogue';
import { InvalidInput } from '#domain';
import type { ProviderCredential } from './credential.ts';
import type { DownloadGuarded } from './download-media.ts';
import type { HuggingFaceOptions } from './huggingface/connection.ts';
import { createHuggingFace } from './huggingface/huggingface.ts';
import type { OllamaOptions } from './ollama/connection.ts';
import { createOllama } from './ollama/ollama.ts';
import type { OpenAICompatibleOptions } from './openai-compatible/connection.ts';
import { createOpenAICompatible } from './openai-compatible/openai-compatible.ts';
import type { Provider } from './provider.ts';
import type { ModelAccess } from './run.ts';
import { sandbox } from './sandbox/sandbox.ts';
import type { LocalOptions } from './transformers/options.ts';
import { createTransformers } from './transformers/transformers.ts';

/** Where a call goes: the provider, the model as the provider knows it, and the credential to call it with. */
export interface Route extends ModelAccess {
  readonly provider: Provider;
}

export interface RouteOptions {
  /** The workspace that the work belongs to. null: work of the instance itself. */
  readonly workspaceId: string | null;
}

/** @returns null if the workspace has no credential of its own for this provider. */
export type ResolveCredential = (provider: string, workspaceId: string) => ProviderCredential | null;

export interface Providers {
  readonly list: readonly Provider[];
  /**
   * @param name `provider/model-id`, as callers write it.
   * @throws InvalidInput, code `model_not_found`; the message says which names are valid.
   */
  readonly route: (name: string, kind: KindId, options: RouteOptions) => Route;
  /** Frees threads and models. */
  close(): Promise<void>;
}

export interface ProviderOptions {
  /** Models on this machine. Absent: none. */
  readonly local?: LocalOptions;
  /** Hugging Face's router and dedicated inference endpoints. Absent: none. */
  readonly huggingFace?: HuggingFaceOptions;
  /** An Ollama server. Absent: none. */
  readonly ollama?: OllamaOptions;
  /** Servers with OpenAI's API. Each is a provider under its own name. */
  readonly openaiCompatible?: readonly OpenAICompatibleOptions[];
  /** Downloads files of answers that are on other servers. Absent: such an answer fails. */
  readonly download?: DownloadGuarded;
  /** Finds a workspace's own credential. @default every workspace uses the instance's default credentials */
  readonly resolveCredential?: ResolveCredential;
}

/** Creates all providers of a process from its settings. Models are loaded when they are first called. */
export function createProviders(options: ProviderOptions = {}): Providers {
  const {
    local,
    huggingFace,
    ollama,
    openaiCompatible = [],
    download,
    resolveCredential = () => null,
  } = options;
  const list: readonly Provider[] = [
    ...(local ? [createTransformers(local)] : []),
    ...(huggingFace ? [createHuggingFace({ ...huggingFace, download })] : []),
    ...(ollama ? [createOllama(ollama)] : []),
    ...openaiCompatible.map((server) => createOpenAICompatible({ ...server, download })),
    sandbox,
  ];
  return {
    list,
    route(name, kind, { workspaceId }) {
      const { provider, model } = findProvider(list, name, kind);
      const own = workspaceId === null ? null : resolveCredential(provider.id, workspaceId);
      return { provider, model, credential: own ?? provider.defaultCredential };
    },
    async close() {
      for (const { models } of list) await models?.close();
    },
  };
}

function findProvider(providers: readonly Provider[], name: string, kind: KindId) {
  const slash = name.indexOf('/');
  const provider = providers.find(({ id }) => id === name.slice(0, Math.max(slash, 0)));
  const details = { code: 'model_not_found', param: 'model' } as const;
  if (!provider) {
    const known = providers.map(({ id }) => `${id}/…`).join(', ');
    throw new InvalidInput(
      `No provider serves this model. Models are named provider/model-id. The providers are: ${known}.`,
      details,
    );
  }
  if (!provider.handlers[kind]) {
    throw new InvalidInput(
      `The provider '${provider.id}' has no models for ${kinds[kind].title.toLowerCase()}.`,
      details,
    );
  }
  const model = name.slice(slash + 1);
  provider.checkModel(model, kind);
  return { provider, model };
}
