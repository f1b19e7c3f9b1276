/** `ollama/…`: the models of an Ollama server, under the names that it has for them. */
import { InvalidInput } from '#domain';
import type { Provider } from '../provider.ts';
import { chatCompletion, textGeneration } from './chat.ts';
import { Connection, type OllamaOptions } from './connection.ts';
import { embeddings } from './embeddings.ts';
import { cacheImageSupport } from '../image-support.ts';
import { OllamaModels } from './models.ts';

export function createOllama(options: OllamaOptions): Provider {
  const on = new Connection(options);
  const models = new OllamaModels(on);
  return {
    id: 'ollama',
    pool: 'remote',
    concurrency: options.concurrency,
    getModelConcurrency: options.concurrencyOf,
    handlers: {
      'chat-completion': chatCompletion(on),
      embeddings: embeddings(on),
      'text-generation': textGeneration(on),
    },
    checkModel(model) {
      if (/^\w[\w.-]*(\/\w[\w.-]*)*(:[\w.-]+)?$/.test(model)) return;
      throw new InvalidInput('Name the model as Ollama does: ollama/name, or ollama/name:tag.', {
        code: 'model_not_found',
        param: 'model',
      });
    },
    acceptsImages: cacheImageSupport((model, signal) => models.acceptsImages(model, signal)),
    listModels: () => models.listModels().catch(() => []),
    models,
  };
}
