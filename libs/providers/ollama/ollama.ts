/** `ollama/…`: the models of an Ollama server, under the server's own names for them. */
import { InvalidInput } from '#domain';
import { createDefaultCredential } from '../credential.ts';
import { cacheImageSupport } from '../image-support.ts';
import type { Provider } from '../provider.ts';
import { withOptionChecks } from '../with-option-checks.ts';
import { ollamaOptionTable } from './option-table.ts';
import { chatCompletion, textGeneration } from './chat.ts';
import { Connection, type OllamaOptions } from './connection.ts';
import { embeddings } from './embeddings.ts';
import { OllamaModels } from './models.ts';

export function createOllama(options: OllamaOptions): Provider {
  const connection = new Connection(options);
  // A key only opens the server: the limits are the server's own, whichever key a call uses. So it has no fingerprint.
  const defaultCredential = { ...createDefaultCredential('ollama', options.key), fingerprint: null };
  const models = new OllamaModels(connection, defaultCredential);
  const provider: Provider = {
    id: 'ollama',
    pool: 'remote',
    defaultCredential,
    concurrency: options.concurrency,
    getModelConcurrency: options.getModelConcurrency,
    handlers: {
      'chat-completion': chatCompletion(connection),
      embeddings: embeddings(connection),
      'text-generation': textGeneration(connection),
    },
    checkModel(model) {
      if (/^\w[\w.-]*(\/\w[\w.-]*)*(:[\w.-]+)?$/.test(model)) return;
      throw new InvalidInput("Use Ollama's name for the model: ollama/name or ollama/name:tag.", {
        code: 'model_not_found',
        param: 'model',
      });
    },
    acceptsImages: cacheImageSupport((access, signal) => models.acceptsImages(access, signal)),
    listModels: () => models.listModels().catch(() => []),
    models,
  };
  return withOptionChecks(provider, ollamaOptionTable);
}
