/** Which provider serves a model: the part of its name before the first slash decides, and nothing else. */
import { kinds, type KindId } from '#catalogue';
import { InvalidInput } from '#domain';
import type { Provider } from './provider.ts';
import { createHuggingFace } from './huggingface/huggingface.ts';
import type { HuggingFaceOptions } from './huggingface/connection.ts';
import type { OpenAICompatibleOptions } from './openai-compatible/connection.ts';
import { createOllama } from './ollama/ollama.ts';
import type { OllamaOptions } from './ollama/connection.ts';
import { createOpenAICompatible } from './openai-compatible/openai-compatible.ts';
import { createTransformers } from './transformers/transformers.ts';
import type { LocalOptions } from './transformers/options.ts';
import { sandbox } from './sandbox/sandbox.ts';

export interface Route {
  readonly provider: Provider;
  /** The model as the provider knows it. */
  readonly model: string;
}

export interface Providers {
  readonly list: readonly Provider[];
  /**
   * @param name `provider/model-id`, as callers write it.
   * @throws InvalidInput, code `model_not_found`, saying what would be found.
   */
  readonly route: (name: string, kind: KindId) => Route;
  /** Gives back what they hold: threads, models. */
  close(): Promise<void>;
}

export interface ProviderOptions {
  /** Models on this machine. Unset: none. */
  readonly local?: LocalOptions;
  /** Hugging Face's router, and endpoints of one's own. Unset: none. */
  readonly huggingFace?: HuggingFaceOptions;
  /** An Ollama server. Unset: none. */
  readonly ollama?: OllamaOptions;
  /** Servers that speak OpenAI's API, each under its name. */
  readonly openaiCompatible?: readonly OpenAICompatibleOptions[];
}

/** Every provider there is, as a process's settings have it. One that holds models loads them when they are called. */
export function createProviders(options: ProviderOptions = {}): Providers {
  const { local, huggingFace, ollama, openaiCompatible = [] } = options;
  const list: readonly Provider[] = [
    ...(local ? [createTransformers(local)] : []),
    ...(huggingFace ? [createHuggingFace(huggingFace)] : []),
    ...(ollama ? [createOllama(ollama)] : []),
    ...openaiCompatible.map(createOpenAICompatible),
    sandbox,
  ];
  return {
    list,
    route: (name, kind) => routeAmong(list, name, kind),
    async close() {
      for (const { models } of list) await models?.close();
    },
  };
}

function routeAmong(providers: readonly Provider[], name: string, kind: KindId): Route {
  const slash = name.indexOf('/');
  const provider = providers.find(({ id }) => id === name.slice(0, Math.max(slash, 0)));
  const details = { code: 'model_not_found', param: 'model' };
  if (!provider) {
    const known = providers.map(({ id }) => `${id}/…`).join(', ');
    throw new InvalidInput(
      `No provider serves this model. Models are named provider/model-id; providers: ${known}.`,
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
